//! The NetBIOS name service (RFC 1002 section 4.2): Windows, Samba, printers register their names
//! and answer for them.

use std::net::Ipv4Addr;

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};

/// Record types (RFC 1002 section 4.2.1.3).
const NB: u16 = 0x20;
const NBSTAT: u16 = 0x21;
/// In the flags of a name: many hosts share it.
const GROUP: u16 = 0x8000;
/// The most labels and pointers of a name. Pointers may lead in a circle.
const STEPS: usize = 16;

/// A NetBIOS name and what it stands for, its last byte.
pub(super) struct NetbiosName([u8; 16]);

impl NetbiosName {
    /// The name of a host: that of the workstation service, the file server or the messenger,
    /// without the blanks that fill it up.
    pub(super) fn of_host(&self) -> Option<&[u8]> {
        let [name @ .., suffix] = &self.0;
        let name = name.trim_ascii_end();
        let is_name = !name.is_empty() && !name.starts_with(b"*");
        (is_name && matches!(suffix, 0x00 | 0x03 | 0x20)).then_some(name)
    }
}

/// Reads registrations and refreshes, answers to queries, and the answer of a node status query.
/// Names of groups do not tell a host.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let _ = read_message(packet, claims);
}

/// `None` where the message ends, or is none.
fn read_message(packet: &Packet<'_>, claims: Sink<'_>) -> Option<()> {
    let message = packet.payload;
    let mut rest = Bytes(message);
    rest.u16()?; // The transaction's number.
    let flags = rest.u16()?;
    let is_response = flags & 0x8000 != 0;
    let operation = flags >> 11 & 0xf;
    let is_error = is_response && flags & 0xf != 0;
    // Registration, refresh (two numbers are in use), registration of a host with many addresses.
    if is_error || !is_response && !matches!(operation, 5 | 8 | 9 | 15) {
        return None;
    }
    let [questions, answers, authorities, additional] = [(); 4].map(|()| rest.u16());
    for _ in 0..questions? {
        name(message, &mut rest)?;
        rest.take(4)?;
    }
    let (answers, authorities) = (u32::from(answers?), u32::from(authorities?));
    for record in 0..answers + authorities + u32::from(additional?) {
        let owner = name(message, &mut rest)?;
        let kind = rest.u16()?;
        rest.take(6)?; // Class and TTL.
        let length = rest.u16()?.into();
        let is_authority = (answers..answers + authorities).contains(&record);
        match kind {
            NB if !is_authority => addresses(&owner, Bytes(rest.take(length)?), claims),
            // The counters behind the names may be cut off.
            NBSTAT if is_response && !is_authority => {
                status(packet, Bytes(rest.take_captured(length)), claims);
            }
            _ => {
                rest.take(length)?;
            }
        }
    }
    Some(())
}

/// A record NB: flags and address, once for each address of the host.
fn addresses(owner: &NetbiosName, data: Bytes<'_>, claims: Sink<'_>) {
    let Some(name) = owner.of_host() else { return };
    let (entries, _) = data.0.as_chunks::<6>();
    if entries.iter().any(|&[a, b, ..]| u16::from_be_bytes([a, b]) & GROUP != 0) {
        return;
    }
    for &[_, _, a, b, c, d] in entries {
        Claim::name(Ipv4Addr::new(a, b, c, d).into(), name, Source::Nbns, claims);
    }
}

/// A record NBSTAT: the names of the host that answers.
fn status(packet: &Packet<'_>, mut data: Bytes<'_>, claims: Sink<'_>) {
    for _ in 0..data.u8().unwrap_or(0) {
        let (Some(name), Some(flags)) = (data.array(), data.u16()) else { return };
        let name = NetbiosName(name);
        if let Some(name) = name.of_host().filter(|_| flags & GROUP == 0) {
            Claim::name(packet.source, name, Source::Nbns, claims);
        }
    }
}

/// Reads a name of `message` at the front of `rest`: 16 bytes as 32 letters, a scope of labels
/// behind them that is not used, or a pointer to such a name.
pub(super) fn name<'a>(message: &'a [u8], rest: &mut Bytes<'a>) -> Option<NetbiosName> {
    let mut at = *rest;
    let mut end = None;
    let mut first = None;
    for _ in 0..STEPS {
        match at.u8()? {
            0 => {
                // A name ends behind its first pointer, wherever that leads.
                *rest = end.unwrap_or(at);
                return first.map(NetbiosName);
            }
            length @ 0xc0.. => {
                let target = u16::from_be_bytes([length & 0x3f, at.u8()?]);
                end = end.or(Some(at));
                at = Bytes(message.get(target.into()..)?);
            }
            length @ 1..0x40 => {
                let label = at.take(length.into())?;
                if first.is_none() {
                    first = Some(letters(label)?);
                }
            }
            _ => return None,
        }
    }
    None
}

/// The bytes that 32 letters stand for, two for each byte: A is 0, P is 15.
fn letters(label: &[u8]) -> Option<[u8; 16]> {
    let label: &[u8; 32] = label.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, &[high, low]) in bytes.iter_mut().zip(label.as_chunks::<2>().0) {
        let digit = |letter: u8| letter.checked_sub(b'A').filter(|&digit| digit < 16);
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    fn padded(name: &[u8], suffix: u8) -> Vec<u8> {
        let mut name = name.to_vec();
        name.resize(15, b' ');
        name.push(suffix);
        name
    }

    pub(in super::super) fn encoded(name: &[u8], suffix: u8) -> Vec<u8> {
        let name = padded(name, suffix);
        let letters = name.iter().flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
        [32].into_iter().chain(letters).chain([0]).collect()
    }

    fn message(flags: u16, counts: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0, 7];
        message.extend(flags.to_be_bytes());
        message.extend(counts.iter().flat_map(|&count| [0, count]));
        parts.iter().for_each(|part| message.extend(*part));
        message
    }

    fn record(owner: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
        [owner, &[0, kind, 0, 1, 0, 0, 0, 9, 0, data.len() as u8], data].concat()
    }

    fn registration(name: &[u8], flags: u16, of_name: u8) -> Vec<u8> {
        let question = [name, &[0, 0x20, 0, 1]].concat();
        let entry = record(&[0xc0, 12], 0x20, &[of_name, 0, 10, 0, 0, 1]);
        message(flags, [1, 0, 0, 1], &[&question, &entry])
    }

    fn claims(message: &[u8]) -> Vec<String> {
        cut_and_break(read, &packet(message))
    }

    #[test]
    fn a_host_registers_its_name() {
        let laptop = encoded(b"LAPTOP", 0);
        for operation in [5, 8, 9, 15] {
            let flags = operation << 11 | 0x0110;
            assert_eq!(claims(&registration(&laptop, flags, 0)), ["10.0.0.1 laptop"]);
            assert!(claims(&registration(&laptop, flags, 0x80)).is_empty());
        }
        // A query, a release, a refusal.
        for flags in [0x0110, 6 << 11, 0x8000 | 5 << 11 | 6] {
            assert!(claims(&registration(&laptop, flags, 0)).is_empty());
        }
        for (name, suffix) in [(&b"LAPTOP"[..], 0x1b), (b"", 0), (b"*", 0), (b"A\x01B", 0)] {
            assert!(claims(&registration(&encoded(name, suffix), 5 << 11, 0)).is_empty());
        }
        for suffix in [0x03, 0x20] {
            let name = encoded(b"BIG NAME", suffix);
            assert_eq!(claims(&registration(&name, 5 << 11, 0)), ["10.0.0.1 big name"]);
        }
    }

    #[test]
    fn answers_name_all_addresses() {
        let data = [0x60, 0, 10, 0, 0, 3, 0x60, 0, 10, 0, 0, 4, 1, 2];
        let mut owner = encoded(b"NAS", 0x20);
        owner.pop();
        owner.extend(b"\x05scope\x02de\0");
        let answer = message(0x8500, [0, 1, 0, 0], &[&record(&owner, 0x20, &data)]);
        assert_eq!(claims(&answer), ["10.0.0.3 nas", "10.0.0.4 nas"]);
        // One entry says that it is a group.
        let data = [0x60, 0, 10, 0, 0, 3, 0xe0, 0, 10, 0, 0, 4];
        let answer = message(0x8500, [0, 1, 0, 0], &[&record(&owner, 0x20, &data)]);
        assert!(claims(&answer).is_empty());
        // Authority records are of a server's, not of the answer's host.
        let entry = record(&owner, 0x20, &[0, 0, 10, 0, 0, 3]);
        assert!(claims(&message(0x8500, [0, 0, 1, 0], &[&entry])).is_empty());
    }

    #[test]
    fn a_status_answer_names_the_host_that_sends_it() {
        let mut data = vec![5];
        for (name, suffix, flags) in [
            (&b"TV"[..], 0x00, 0x04),
            (b"HOME", 0x00, 0x84),
            (b"TV", 0x20, 0x04),
            (b"HOME", 0x1d, 0x04),
            (b"\x01\x02__MSBROWSE__\x02", 0x01, 0x84),
        ] {
            data.extend(padded(name, suffix));
            data.extend([flags, 0]);
        }
        data.extend([2, 0, 0, 0, 0, 5, 0, 0]);
        let entry = record(&encoded(b"*", 0), 0x21, &data);
        let answer = message(0x8400, [0, 1, 0, 0], &[&entry]);
        assert_eq!(claims(&answer), ["10.0.0.1 tv", "10.0.0.1 tv"]);
        let cut = answer.len() - data.len() + 1 + 18;
        assert_eq!(lines(read, &packet(&answer[..cut])), ["10.0.0.1 tv"]);
    }

    #[test]
    fn names_that_lead_nowhere_end() {
        for owner in [&[0xc0, 12][..], &[0xc0, 0xff], &[0xff, 0xff], &[0x80], &[0], b"\x03abc\0"] {
            let entry = record(owner, 0x20, &[0, 0, 10, 0, 0, 3]);
            assert!(claims(&message(0x8500, [0, 1, 0, 0], &[&entry])).is_empty(), "{owner:?}");
        }
        // A label that holds letters which stand for nothing.
        let mut strange = encoded(b"NAS", 0);
        strange[1] = b'Q';
        assert!(claims(&registration(&strange, 5 << 11, 0)).is_empty());
        let greedy = message(0x8500, [0xff; 4], &[]);
        assert!(claims(&greedy).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(flags in any::<u16>(), counts in any::<[u8; 4]>(),
                              bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            lines(read, &packet(&bytes));
            let counts = counts.map(|count| count % 3);
            lines(read, &packet(&message(flags, counts, &[&encoded(b"X", 0), &bytes])));
        }
    }
}
