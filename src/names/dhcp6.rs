//! DHCP for IPv6 (RFC 8415): a full name with its addresses, and the hardware address inside of a
//! client's identifier (DUID).

use std::net::{IpAddr, Ipv6Addr};

use super::bytes::{Bytes, hex, labels};
use super::claim::{Claim, Packet, Sink, Source, Trait};
use crate::decode::Mac;

/// Options (RFC 8415 section 21; 39 is that of RFC 4704).
mod option {
    pub(super) const CLIENT_ID: u16 = 1;
    pub(super) const ADDRESSES: u16 = 3;
    pub(super) const TEMPORARY_ADDRESSES: u16 = 4;
    pub(super) const ADDRESS: u16 = 5;
    pub(super) const FULL_NAME: u16 = 39;
}

/// Kinds of messages.
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;

/// Reads a message. Name and addresses count where the client asks for these addresses, or the
/// server grants them; the hardware address counts in what the server grants.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let mut rest = Bytes(packet.payload);
    let Some([kind, _, _, _]) = rest.array() else { return };
    // Messages between relays (12 and 13) have another header.
    if !(1..=11).contains(&kind) {
        return;
    }
    let client = Options(rest).find(|&(kind, _)| kind == option::CLIENT_ID).map(|(_, id)| id);
    let named = Options(rest).find(|&(kind, _)| kind == option::FULL_NAME);
    // Flags stand before the name.
    let name = named.and_then(|(_, value)| labels(value.get(1..)?));
    // The header of the frame is the client's own unless a router has forwarded it.
    if !matches!(kind, 2 | REPLY | 10) && is_link_local(packet.source) {
        if let Some(name) = &name {
            Claim::says(packet.mac, Trait::Hostname, name, Source::Dhcp6, claims);
        }
        if let Some(id) = client {
            let text = hex(id);
            Claim::says(packet.mac, Trait::ClientId, text.as_bytes(), Source::Dhcp6, claims);
        }
    }
    if !matches!(kind, REQUEST | RENEW | REBIND | REPLY) {
        return;
    }
    let mac = client.and_then(hardware).filter(|_| kind == REPLY);
    addresses(rest, &mut |address, seconds| {
        // What the server takes back holds for 0 seconds; a client asks with 0.
        if kind == REPLY && seconds == 0 {
            return;
        }
        if let Some(name) = &name {
            Claim::name(address, name, Source::Dhcp6, claims);
        }
        if let Some(mac) = mac {
            Claim::link(address, mac, Source::Dhcp6, claims);
        }
    });
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The options that are whole: code and value.
struct Options<'a>(Bytes<'a>);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let code = self.0.u16()?;
        let length = self.0.u16()?;
        Some((code, self.0.take(length.into())?))
    }
}

/// The addresses of a message, and for how many seconds each is valid.
fn addresses(options: Bytes<'_>, found: &mut dyn FnMut(IpAddr, u32)) {
    for (kind, value) in Options(options) {
        // A number and two times; a number.
        let head = match kind {
            option::ADDRESSES => 12,
            option::TEMPORARY_ADDRESSES => 4,
            _ => continue,
        };
        for (kind, value) in Options(Bytes(value.get(head..).unwrap_or_default())) {
            let mut value = Bytes(value);
            if kind == option::ADDRESS
                && let Some(address) = value.array::<16>()
                && let (Some(_preferred), Some(valid)) = (value.u32(), value.u32())
            {
                found(Ipv6Addr::from(address).into(), valid);
            }
        }
    }
}

/// The Ethernet address in an identifier of the kinds LLT and LL (RFC 8415 section 11). It is of
/// one of the client's interfaces, mostly the one that asks.
fn hardware(id: &[u8]) -> Option<Mac> {
    let mut id = Bytes(id);
    let kind = id.u16()?;
    let hardware = id.u16()?;
    match (kind, hardware) {
        (1, 1) => id.take(4)?, // Its time.
        (3, 1) => &[],
        _ => return None,
    };
    (id.0.len() == 6).then_some(Mac(id.array()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    const LLT: &[u8] = &[0, 1, 0, 1, 9, 9, 9, 9, 2, 0, 0, 0, 0, 5];
    const LL: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 5];
    const NAME: &[u8] = b"\x01\x02TV\x04home\0";

    fn option(code: u8, value: &[u8]) -> Vec<u8> {
        [&[0, code, 0, value.len() as u8], value].concat()
    }

    fn address(last: u8, valid: u8) -> Vec<u8> {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).octets();
        option(5, &[&address[..], &[0, 0, 0, valid, 0, 0, 0, valid]].concat())
    }

    fn message(kind: u8, valid: u8, id: &[u8]) -> Vec<u8> {
        let first = option(3, &[&[0; 12][..], &option(13, b"\0\0"), &address(7, valid)].concat());
        let second = option(4, &[&[0; 4][..], &address(8, valid), &address(9, valid)].concat());
        [&[kind, 1, 2, 3][..], &option(1, id), &first, &option(39, NAME), &second].concat()
    }

    fn claims(payload: &[u8]) -> Vec<String> {
        let source = "fe80::5".parse().unwrap();
        cut_and_break(read, &Packet { source, ..packet(payload) })
    }

    #[test]
    fn a_client_asks_for_addresses_by_name() {
        for (kind, id) in [(3, LLT), (5, LL), (6, LL)] {
            let digits = hex(id);
            assert_eq!(
                claims(&message(kind, 0, id)),
                [
                    "02:00:00:00:00:01 host tv.home",
                    &format!("02:00:00:00:00:01 client {digits}"),
                    "2001:db8::7 tv.home",
                    "2001:db8::8 tv.home",
                    "2001:db8::9 tv.home",
                ]
            );
        }
        // A solicitation says who asks, but has no addresses yet; a release has none any more.
        assert_eq!(claims(&message(1, 0, LL)).len(), 2);
        assert_eq!(claims(&message(8, 9, LL)).len(), 2);
        // From far away the frame's header is a router's.
        let far = message(3, 0, LL);
        assert_eq!(lines(read, &packet(&far)).len(), 3);
    }

    #[test]
    fn a_reply_ties_the_addresses() {
        let reply = claims(&message(7, 9, LLT));
        assert_eq!(reply.len(), 6);
        assert_eq!(reply[..2], ["2001:db8::7 tv.home", "02:00:00:00:00:05 2001:db8::7"]);
        assert!(claims(&message(7, 0, LLT)).is_empty());
        assert!(claims(&message(2, 9, LLT)).is_empty());
        for id in [&[0, 2, 0, 0, 0, 9, 1, 2][..], &[0, 3, 0, 32, 2, 0, 0, 0, 0, 5], &LL[..9], &[]] {
            assert_eq!(claims(&message(7, 9, id)).len(), 3, "{id:?}");
        }
    }

    #[test]
    fn messages_of_relays_are_left_alone() {
        assert!(claims(&message(12, 9, LL)).is_empty());
        assert!(claims(&message(0, 9, LL)).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(kind in 0..14u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            lines(read, &packet(&bytes));
            let inner = [&[kind, 0, 0, 0, 0, 3, 0, bytes.len() as u8][..], &[0; 12], &bytes];
            lines(read, &packet(&inner.concat()));
        }
    }
}
