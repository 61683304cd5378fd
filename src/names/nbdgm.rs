//! NetBIOS datagrams (RFC 1002 section 4.4): each carries the name of its sender. In some of them
//! a Windows computer announces itself to the browsers of its workgroup ([MS-BRWS] section 2.2).

use std::net::{IpAddr, Ipv4Addr};

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};
use super::nbns;

/// Announcements of a host, and of the browser of a workgroup.
const HOST: u8 = 0x01;
const LOCAL_MASTER: u8 = 0x0f;
/// Where announcements are sent to.
const MAILSLOT: &[u8] = b"\\MAILSLOT\\BROWSE";
/// The commands of an SMB 1 message that carry them.
const TRANSACTION: u8 = 0x25;

/// Reads the names that a datagram's sender gives itself.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let _ = read_datagram(packet, claims);
}

/// `None` where the datagram ends, or is none.
fn read_datagram(packet: &Packet<'_>, claims: Sink<'_>) -> Option<()> {
    let mut datagram = Bytes(packet.payload);
    let [kind, _, _, _] = datagram.array()?;
    let address = IpAddr::V4(Ipv4Addr::from(datagram.u32()?));
    // To one host, to a group, to all. A datagram that somebody passes on names another host.
    if !(0x10..=0x12).contains(&kind) || address != packet.source {
        return None;
    }
    datagram.take(4)?; // Port, length.
    let offset = datagram.u16()?;
    let mut body = datagram;
    let source = nbns::name(datagram.0, &mut body)?;
    if let Some(name) = source.of_host() {
        Claim::name(address, name, Source::Nbdgm, claims);
    }
    nbns::name(datagram.0, &mut body)?;
    if offset == 0
        && let Some(name) = announced(body.0)
    {
        Claim::name(address, name, Source::Nbdgm, claims);
    }
    Some(())
}

/// The name in an announcement, from an SMB message that writes to the mailslot of the browsers.
fn announced(message: &[u8]) -> Option<&[u8]> {
    let mut rest = Bytes(message);
    if rest.take(4)? != b"\xffSMB" || rest.u8()? != TRANSACTION {
        return None;
    }
    rest.take(27)?; // The rest of the header.
    let words = usize::from(rest.u8()?) * 2;
    // The thirteenth: where the data begins, counted from the header.
    let [low, high] = Bytes(rest.take(words)?.get(24..)?).array()?;
    let start: usize = u16::from_le_bytes([low, high]).into();
    rest.take(2)?; // How many bytes follow.
    if !rest.take(MAILSLOT.len())?.eq_ignore_ascii_case(MAILSLOT) || rest.u8()? != 0 {
        return None;
    }
    let mut announcement = Bytes(message.get(start..)?);
    if !matches!(announcement.u8()?, HOST | LOCAL_MASTER) {
        return None;
    }
    announcement.take(5)?; // How often, and when the next one comes.
    let name = announcement.take(16)?;
    name.split(|&byte| byte == 0).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::nbns::tests::encoded;
    use super::*;

    fn datagram(kind: u8, source: &[u8], data: &[u8]) -> Vec<u8> {
        let head = [kind, 2, 0, 9, 10, 0, 0, 1, 0, 138, 0, 200, 0, 0];
        [&head, source, &encoded(b"HOME", 0x1d), data].concat()
    }

    fn announcement(command: u8, slot: &[u8], name: &[u8]) -> Vec<u8> {
        let mut smb = b"\xffSMB\x25".to_vec();
        smb.resize(32, 0);
        smb.push(17);
        let mut words = [0; 34];
        let slot = [slot, &[0]].concat();
        words[24] = (32 + 1 + 34 + 2 + slot.len()) as u8;
        smb.extend(words);
        smb.extend([0, 0]);
        smb.extend(slot);
        smb.extend([command, 0, 0x80, 0xa9, 3, 0]);
        let mut padded = name.to_vec();
        padded.resize(16, 0);
        smb.extend(padded);
        smb.extend([6, 1, 3, 0x9a, 0x84, 0, 0x0f, 1, 0x55, 0xaa, 0]);
        smb
    }

    fn claims(payload: &[u8]) -> Vec<String> {
        cut_and_break(read, &packet(payload))
    }

    #[test]
    fn a_datagram_names_its_sender() {
        let laptop = encoded(b"LAPTOP", 0);
        for kind in [0x10, 0x11, 0x12] {
            assert_eq!(claims(&datagram(kind, &laptop, b"hello")), ["10.0.0.1 laptop"]);
        }
        assert!(claims(&datagram(0x13, &laptop, b"")).is_empty());
        assert!(claims(&datagram(0x11, &encoded(b"HOME", 0x1e), b"")).is_empty());
        let mut passed_on = datagram(0x11, &laptop, b"");
        passed_on[7] = 9;
        assert!(claims(&passed_on).is_empty());
        // Cut behind the sender's name.
        let cut = &datagram(0x11, &laptop, b"")[..14 + 34];
        assert_eq!(lines(read, &packet(cut)), ["10.0.0.1 laptop"]);
    }

    #[test]
    fn an_announcement_names_its_sender() {
        let source = encoded(b"HOME", 0x1e);
        for command in [HOST, LOCAL_MASTER] {
            let smb = announcement(command, b"\\MAILSLOT\\BROWSE", b"Laptop");
            assert_eq!(claims(&datagram(0x11, &source, &smb)), ["10.0.0.1 laptop"]);
        }
        for (command, slot, name) in [
            (0x0c, &b"\\MAILSLOT\\BROWSE"[..], &b"HOME"[..]),
            (HOST, b"\\MAILSLOT\\NETLOGON", b"X"),
            (HOST, b"\\MAILSLOT\\BROWSE2", b"X"),
            (HOST, b"\\MAILSLOT\\BROWSE", b""),
            (HOST, b"\\MAILSLOT\\BROWSE", b"a\x1bb"),
        ] {
            let smb = announcement(command, slot, name);
            assert!(claims(&datagram(0x11, &source, &smb)).is_empty(), "{slot:?} {name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..250)) {
            lines(read, &packet(&bytes));
            lines(read, &packet(&datagram(0x11, &encoded(b"A", 0), &bytes)));
            let smb = [&announcement(1, MAILSLOT, b"")[..32], &bytes].concat();
            lines(read, &packet(&datagram(0x11, &encoded(b"A", 0), &smb)));
        }
    }
}
