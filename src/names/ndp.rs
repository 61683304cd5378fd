//! Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements carry the hardware
//! address of an address.

use std::net::{IpAddr, Ipv6Addr};

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};
use crate::decode::Mac;

const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;

/// Reads an ICMPv6 message. One that a router has forwarded has a lower hop limit and is not
/// believed (RFC 4861 section 7.1).
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    if packet.hop_limit == 255
        && let Some((address, mac)) = pair(packet)
    {
        Claim::link(address, mac, Source::Ndp, claims);
    }
}

fn pair(packet: &Packet<'_>) -> Option<(IpAddr, Mac)> {
    let mut message = Bytes(packet.payload);
    let [kind, code, _, _] = message.array()?;
    if code != 0 {
        return None;
    }
    message.take(4)?;
    let (address, wanted) = match kind {
        // Solicitation of a router, and of a neighbour.
        133 => (packet.source, SOURCE_LINK),
        134 | 135 => {
            // Two timers of the router; the address that is asked for.
            message.take(if kind == 134 { 8 } else { 16 })?;
            (packet.source, SOURCE_LINK)
        }
        136 => (Ipv6Addr::from(message.array::<16>()?).into(), TARGET_LINK),
        _ => return None,
    };
    while !message.is_empty() {
        let [kind, length] = message.array()?;
        // In units of 8 bytes, with these two; 0 is forbidden, and would not come to an end.
        let value = message.take((usize::from(length) * 8).checked_sub(2)?)?;
        if kind == wanted && length == 1 {
            return Some((address, Mac(Bytes(value).array()?)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    const TARGET: &str = "fe80::9";
    const SOURCE: &str = "fe80::1";

    fn message(kind: u8, options: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        match kind {
            134 => message.extend([0; 8]),
            135 | 136 => message.extend(TARGET.parse::<Ipv6Addr>().unwrap().octets()),
            _ => {}
        }
        message.extend(options);
        message
    }

    fn from(source: &str, payload: &[u8], hop_limit: u8) -> Vec<String> {
        let source = source.parse().unwrap();
        cut_and_break(read, &Packet { source, hop_limit, ..packet(payload) })
    }

    const OF_SOURCE: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 5];
    const OF_TARGET: [u8; 8] = [2, 1, 2, 0, 0, 0, 0, 6];
    const NONCE: [u8; 8] = [14, 1, 1, 2, 3, 4, 5, 6];

    #[test]
    fn each_message_ties_its_address() {
        let options = [NONCE, OF_TARGET, OF_SOURCE].concat();
        for kind in [133, 134, 135] {
            let claims = from(SOURCE, &message(kind, &options), 255);
            assert_eq!(claims, ["02:00:00:00:00:05 fe80::1"], "{kind}");
        }
        let claims = from(SOURCE, &message(136, &options), 255);
        assert_eq!(claims, ["02:00:00:00:00:06 fe80::9"]);
    }

    #[test]
    fn what_ties_nothing_claims_nothing() {
        let solicitation = message(135, &OF_SOURCE);
        assert!(from(SOURCE, &solicitation, 64).is_empty());
        assert!(from("::", &solicitation, 255).is_empty());
        assert!(from(SOURCE, &message(135, &OF_TARGET), 255).is_empty());
        assert!(from(SOURCE, &message(137, &OF_SOURCE), 255).is_empty());
        assert!(from(SOURCE, &message(133, &[1, 0, 2, 0, 0, 0, 0, 5]), 255).is_empty());
        assert!(from(SOURCE, &message(133, &[14, 9, 2, 0, 0, 0, 0, 5]), 255).is_empty());
        assert!(from(SOURCE, &message(133, &[1, 2, 2, 0, 0, 0, 0, 5]), 255).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(kind in 130..140u8, bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            lines(read, &packet(&[&[kind, 0][..], &bytes].concat()));
            lines(read, &packet(&bytes));
        }
    }
}
