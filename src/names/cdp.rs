//! The Cisco discovery protocol: switches, routers, access points and phones tell their neighbours
//! who they are. Cisco has described it; other vendors speak it, too.

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source, Trait};

/// Kinds of values.
const DEVICE_ID: u16 = 1;
const PLATFORM: u16 = 6;

/// Reads a message: the identifier of the device, mostly its host name, and its model.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let mut rest = Bytes(packet.payload);
    // Version, how long it holds, a checksum.
    let Some([1 | 2, _, _, _]) = rest.array() else { return };
    while let Some((kind, value)) = next(&mut rest) {
        let what = match kind {
            DEVICE_ID => Trait::Hostname,
            PLATFORM => Trait::Vendor,
            _ => continue,
        };
        Claim::says(packet.mac, what, value, Source::Cdp, claims);
    }
}

/// A kind, a length that counts these four bytes as well, and the value.
fn next<'a>(rest: &mut Bytes<'a>) -> Option<(u16, &'a [u8])> {
    let kind = rest.u16()?;
    let length = rest.u16()?.checked_sub(4)?;
    Some((kind, rest.take(length.into())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    fn value(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[0, kind, 0, value.len() as u8 + 4], value].concat()
    }

    fn message(version: u8, values: &[Vec<u8>]) -> Vec<u8> {
        [&[version, 180, 1, 2], &values.concat()[..]].concat()
    }

    #[test]
    fn a_router_has_a_name_and_a_model() {
        let values = [value(1, b"R1.example"), value(3, b"Gi0/1"), value(6, b"cisco C9300")];
        let says = ["02:00:00:00:00:01 host r1.example", "02:00:00:00:00:01 vendor cisco c9300"];
        for version in [1, 2] {
            assert_eq!(cut_and_break(read, &packet(&message(version, &values))), says);
        }
        assert!(lines(read, &packet(&message(3, &values))).is_empty());
        let short = message(2, &[vec![0, 1, 0, 3], values.concat()]);
        assert!(cut_and_break(read, &packet(&short)).is_empty());
        let group = Packet { mac: crate::decode::Mac([1, 0, 0, 0, 0, 1]), ..packet(&short) };
        assert!(lines(read, &group).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            lines(read, &packet(&bytes));
            lines(read, &packet(&message(2, &[bytes])));
        }
    }
}
