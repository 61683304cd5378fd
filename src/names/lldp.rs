//! The link layer discovery protocol (IEEE 802.1AB): switches, access points and some computers
//! tell their neighbours who they are.

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source, Trait};
use crate::decode::Mac;

/// Kinds of values (IEEE 802.1AB-2016 table 8-1).
const END: u16 = 0;
const CHASSIS: u16 = 1;
const SYSTEM_NAME: u16 = 5;
/// The identifier of a chassis is a hardware address.
const HARDWARE: u8 = 4;

/// Reads a message: the system's name is one of the chassis, or of the port that sent it if the
/// chassis has no hardware address.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let mut rest = Bytes(packet.payload);
    let mut mac = packet.mac;
    while let Some((kind, value)) = next(&mut rest) {
        match kind {
            END => return,
            CHASSIS => {
                if let Some(&[HARDWARE, ref address @ ..]) = value.first_chunk::<7>()
                    && value.len() == 7
                {
                    mac = Mac(*address);
                }
            }
            SYSTEM_NAME => Claim::says(mac, Trait::Hostname, value, Source::Lldp, claims),
            _ => {}
        }
    }
}

/// A kind of 7 bits, a length of 9 bits, and the value. The chassis comes first of all.
fn next<'a>(rest: &mut Bytes<'a>) -> Option<(u16, &'a [u8])> {
    let head = rest.u16()?;
    Some((head >> 9, rest.take((head & 0x1ff).into())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    fn value(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind << 1, value.len() as u8], value].concat()
    }

    fn claims(values: &[Vec<u8>]) -> Vec<String> {
        cut_and_break(read, &packet(&values.concat()))
    }

    #[test]
    fn a_switch_has_a_name() {
        let port = value(2, b"\x05eth0");
        let ttl = value(3, &[0, 120]);
        let name = value(5, b"Switch 1");
        let address = value(1, &[4, 2, 0, 0, 0, 0, 9]);
        let all = [address, port.clone(), ttl, name.clone(), value(0, b"")];
        assert_eq!(claims(&all), ["02:00:00:00:00:09 host switch 1"]);
        for chassis in [&b"\x07local"[..], &[4, 2, 0, 0], &[4, 2, 0, 0, 0, 0, 9, 9], &[]] {
            let all = [value(1, chassis), port.clone(), name.clone()];
            assert_eq!(claims(&all), ["02:00:00:00:00:01 host switch 1"]);
        }
        // Behind the end is nothing; names without a text are none.
        assert!(claims(&[value(0, b""), name.clone()]).is_empty());
        assert!(claims(&[value(5, b""), value(5, b"a\x1bb")]).is_empty());
        let whole = name.len();
        assert!(lines(read, &packet(&name[..whole - 1])).is_empty());
        // A long value: the ninth bit of the length.
        let long = [&[6 << 1 | 1, 0][..], &[b'x'; 256], &name].concat();
        assert_eq!(lines(read, &packet(&long)), ["02:00:00:00:00:01 host switch 1"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            lines(read, &packet(&bytes));
        }
    }
}
