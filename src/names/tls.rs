//! The server's name in the hello of a TLS client: the records of TLS around the ClientHello (RFC
//! 8446 section 5.1), which may fill several of them.

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};
use super::hello::{self, Hello};

/// The type of records that carry handshake messages.
const HANDSHAKE: u8 = 22;

/// Whether a client's data may begin with a hello.
pub fn begins(stream: &[u8]) -> bool {
    matches!(stream, [HANDSHAKE, 3, 0..=4, _, _, 1, ..])
}

/// Reads the first bytes of a client. Returns from where on they are needed again, with
/// more, if they do not hold all of a hello.
pub fn read(packet: &Packet<'_>, stream: &[u8], claims: Sink<'_>) -> Option<usize> {
    let mut rest = Bytes(stream);
    let mut joined = Vec::new();
    loop {
        let Some([kind, major, _, high, low]) = rest.array() else { return Some(0) };
        if (kind, major) != (HANDSHAKE, 3) {
            return None;
        }
        let record = rest.take_captured(u16::from_be_bytes([high, low]).into());
        // Mostly there is one record, and nothing to copy.
        let message = if joined.is_empty() && rest.is_empty() {
            record
        } else {
            joined.extend_from_slice(record);
            &joined
        };
        match hello::read(message) {
            Hello::Never => return None,
            Hello::More if rest.is_empty() => return Some(0),
            Hello::More => {}
            Hello::Found { name, is_shared } => {
                if let Some(name) = name {
                    let address = packet.destination;
                    let source = Source::Tls;
                    claims(Claim::Name { address, name, source, ttl: None, is_shared });
                }
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::hello::tests::{extension, hello, server_name};
    use crate::names::samples::{lines, packet};

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let record = |part: &[u8]| {
            let [high, low] = (part.len() as u16).to_be_bytes();
            [&[22, 3, 1, high, low][..], part].concat()
        };
        message.chunks(size).flat_map(record).collect()
    }

    fn said(stream: &[u8]) -> (Vec<String>, bool) {
        let mut more = false;
        let lines =
            lines(|packet, claims| more = read(packet, stream, claims).is_some(), &packet(&[]));
        (lines, more)
    }

    #[test]
    fn a_hello_is_read_from_one_record_or_many() {
        let message = hello(&[server_name(b"www.example.org"), extension(0xfe0d, &[1; 80])]);
        for size in [message.len(), 60, 7, 1] {
            let stream = records(&message, size);
            let name = vec!["10.0.0.2 www.example.org shared".to_owned()];
            assert_eq!(said(&stream), (name.clone(), false), "{size}");
            assert_eq!(said(&[&stream[..], &[20, 3, 3, 0, 1, 1]].concat()), (name, false));
            for length in 0..stream.len() {
                assert_eq!(said(&stream[..length]), (vec![], true), "{size}, {length}");
            }
        }
        assert!(begins(&records(&message, 100)));
    }

    #[test]
    fn what_is_no_hello_is_left() {
        assert_eq!(said(b"GET / HTTP/1.1\r\n"), (vec![], false));
        assert_eq!(said(&records(&[2, 0, 0, 5, 3, 3], 10)), (vec![], false));
        // Data in front of a hello.
        let message = hello(&[server_name(b"a.example")]);
        let stream = [&[23, 3, 3, 0, 1, 0][..], &records(&message, 900)].concat();
        assert_eq!(said(&stream), (vec![], false));
        assert!(!begins(&stream));
    }
}
