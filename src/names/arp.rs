//! Address resolution (RFC 826): whoever asks or answers says which address is its own.

use std::net::{IpAddr, Ipv4Addr};

use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};
use crate::decode::Mac;

/// Reads an ARP message of Ethernet and IPv4: the sender's pair in requests and replies, also in
/// announcements (RFC 5227). A probe has no sender's address and claims nothing.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    if let Some((address, mac)) = sender(Bytes(packet.payload)) {
        Claim::link(address, mac, Source::Arp, claims);
    }
}

fn sender(mut message: Bytes<'_>) -> Option<(IpAddr, Mac)> {
    // Ethernet or IEEE 802 addresses; 6 and 4 bytes long.
    let hardware = message.u16()?;
    let protocol = message.u16()?;
    let lengths = message.array()?;
    let operation = message.u16()?;
    if !matches!((hardware, protocol, lengths, operation), (1 | 6, 0x800, [6, 4], 1 | 2)) {
        return None;
    }
    let mac = Mac(message.array()?);
    let address = Ipv4Addr::from(message.u32()?);
    (!address.is_broadcast()).then_some((address.into(), mac))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    fn message(operation: u8, mac: [u8; 6], address: [u8; 4]) -> Vec<u8> {
        let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
        message.extend(mac);
        message.extend(address);
        message.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 9]);
        message
    }

    #[test]
    fn the_senders_pair_is_claimed() {
        for operation in [1, 2] {
            let whole = message(operation, [2, 0, 0, 0, 0, 5], [10, 0, 0, 5]);
            let claims = cut_and_break(read, &packet(&whole));
            assert_eq!(claims, ["02:00:00:00:00:05 10.0.0.5"]);
            // The target need not be captured.
            assert_eq!(lines(read, &packet(&whole[..18])), claims);
            assert!(lines(read, &packet(&whole[..17])).is_empty());
        }
    }

    #[test]
    fn what_owns_no_address_claims_none() {
        let own = [2, 0, 0, 0, 0, 5];
        for (operation, mac, address) in [
            (1, own, [0, 0, 0, 0]),
            (2, [0xff; 6], [10, 0, 0, 5]),
            (2, [0; 6], [10, 0, 0, 5]),
            (2, own, [224, 0, 0, 1]),
            (2, own, [255; 4]),
            (3, own, [10, 0, 0, 5]),
        ] {
            assert!(lines(read, &packet(&message(operation, mac, address))).is_empty());
        }
        let mut long = message(1, own, [10, 0, 0, 5]);
        long[4] = 8;
        assert!(lines(read, &packet(&long)).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            lines(read, &packet(&bytes));
        }
    }
}
