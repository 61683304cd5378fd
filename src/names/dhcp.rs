//! DHCP for IPv4 (RFC 2131): a client says its name and what it is, a server which address it has.

use std::net::{IpAddr, Ipv4Addr};

use super::bytes::{Bytes, hex, labels};
use super::claim::{Claim, LONGEST, Packet, Sink, Source, Trait};
use crate::decode::Mac;

/// Options (RFC 2132; 81 is that of RFC 4702).
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const KIND: u8 = 53;
    pub(super) const PARAMETERS: u8 = 55;
    pub(super) const VENDOR: u8 = 60;
    pub(super) const CLIENT_ID: u8 = 61;
    pub(super) const FULL_NAME: u8 = 81;
    pub(super) const END: u8 = 255;
}

/// Kinds of messages.
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;
/// In the flags of a full name: it is in labels, not in text.
const IN_LABELS: u8 = 4;

/// Reads a message of a client, which tells its name and what it is, or the ACK of a server, which
/// ties an address to a hardware address. Servers repeat what clients say: only clients name
/// themselves.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let Some(message) = Message::new(packet.payload) else { return };
    let kind = message.value(option::KIND).and_then(|value| Bytes(&value).u8());
    match (message.is_request, kind) {
        (false, Some(ACK)) => {
            Claim::link(message.given.into(), message.mac, Source::Dhcp, claims);
        }
        (false, _) | (true, Some(OFFER | ACK | NAK)) => {}
        (true, kind) => message.client(kind, claims),
    }
}

/// A message, its options not read yet.
struct Message<'a> {
    is_request: bool,
    /// Of the client, whoever sends the message.
    mac: Mac,
    /// The address that the client has already.
    own: Ipv4Addr,
    /// The address that the server gives.
    given: Ipv4Addr,
    /// Where options are: their own field, then those of the boot file and the server's name if
    /// they are lent to them.
    areas: [&'a [u8]; 3],
}

impl<'a> Message<'a> {
    fn new(payload: &'a [u8]) -> Option<Message<'a>> {
        let mut rest = Bytes(payload);
        let [operation, hardware, length, _hops] = rest.array()?;
        // Ethernet, which Wi-Fi is as well here.
        if !matches!((operation, hardware, length), (1 | 2, 1, 6)) {
            return None;
        }
        rest.take(8)?; // Transaction, seconds, flags.
        let own = rest.u32()?.into();
        let given = rest.u32()?.into();
        rest.take(8)?; // The next server, the relay.
        let mac = Mac(rest.array()?);
        rest.take(10)?;
        let server_name = rest.take(64)?;
        let boot_file = rest.take(128)?;
        if rest.array()? != [99, 130, 83, 99] {
            return None;
        }
        let is_request = operation == 1;
        let mut message = Message { is_request, mac, own, given, areas: [rest.0, &[], &[]] };
        let lent = message.value(option::OVERLOAD).and_then(|value| Bytes(&value).u8());
        let [_, second, third] = &mut message.areas;
        if matches!(lent, Some(1 | 3)) {
            *second = boot_file;
        }
        if matches!(lent, Some(2 | 3)) {
            *third = server_name;
        }
        Some(message)
    }

    /// The value of an option, put together from all places where it is (RFC 3396).
    fn value(&self, wanted: u8) -> Option<Vec<u8>> {
        let mut joined = None;
        for area in self.areas {
            let mut rest = Bytes(area);
            while let Some(kind) = rest.u8() {
                match kind {
                    option::PAD => continue,
                    option::END => break,
                    _ => {}
                }
                let Some(value) = rest.u8().and_then(|length| rest.take(length.into())) else {
                    break;
                };
                if kind == wanted {
                    joined.get_or_insert_with(Vec::new).extend_from_slice(value);
                }
            }
        }
        joined
    }

    fn text(&self, wanted: u8) -> Option<Vec<u8>> {
        self.value(wanted).map(without_zeros)
    }

    fn client(&self, kind: Option<u8>, claims: Sink<'_>) {
        let requested = || {
            let value = self.value(option::REQUESTED_ADDRESS)?;
            Bytes(&value).u32().map(Ipv4Addr::from)
        };
        let address = match kind {
            _ if !self.own.is_unspecified() => Some(self.own),
            Some(REQUEST) => requested(),
            _ => None,
        };
        let full_name = self.value(option::FULL_NAME).and_then(|value| full_name(&value));
        // The short name comes last: it is the one that people know.
        for name in [full_name, self.text(option::HOST_NAME)].into_iter().flatten() {
            Claim::says(self.mac, Trait::Hostname, &name, Source::Dhcp, claims);
            if let Some(address) = address {
                Claim::name(IpAddr::V4(address), &name, Source::Dhcp, claims);
            }
        }
        let mut says = |what, text: &[u8]| {
            Claim::says(self.mac, what, text, Source::Dhcp, claims);
        };
        if let Some(vendor) = self.text(option::VENDOR) {
            says(Trait::Vendor, &vendor);
        }
        if let Some(parameters) = self.value(option::PARAMETERS) {
            says(Trait::Parameters, list(&parameters).as_bytes());
        }
        if let Some(id) = self.value(option::CLIENT_ID) {
            says(Trait::ClientId, hex(&id).as_bytes());
        }
    }
}

/// The name in option 81. It begins with flags and two bytes that no longer mean anything.
fn full_name(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Bytes(value);
    let [flags, _, _] = rest.array()?;
    if flags & IN_LABELS != 0 {
        return labels(rest.0);
    }
    Some(without_zeros(rest.0.to_vec()))
}

/// Some clients send the zero that ends a text in their memory.
fn without_zeros(mut text: Vec<u8>) -> Vec<u8> {
    while text.last() == Some(&0) {
        text.pop();
    }
    text
}

/// Numbers with commas between them: as many as fit.
fn list(numbers: &[u8]) -> String {
    let mut list = String::new();
    for number in numbers {
        let comma = if list.is_empty() { "" } else { "," };
        let next = format!("{comma}{number}");
        if list.len() + next.len() > LONGEST {
            break;
        }
        list += &next;
    }
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    const OWN: [u8; 4] = [10, 0, 0, 5];
    const NONE: [u8; 4] = [0; 4];
    const MAC: &str = "02:00:00:00:00:05";

    fn message(operation: u8, own: [u8; 4], given: [u8; 4], options: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![operation, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
        message.extend([own, given, [10, 0, 0, 1], NONE].concat());
        message.extend([2, 0, 0, 0, 0, 5]);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99]);
        message.extend(options.concat());
        message
    }

    fn claims(message: &[u8]) -> Vec<String> {
        cut_and_break(read, &packet(message))
    }

    #[test]
    fn a_client_says_who_and_what_it_is() {
        let options: [&[u8]; 8] = [
            &[53, 1, 3, 0, 0],
            b"\x0c\x06Laptop",
            &[50, 4, 10, 0, 0, 9],
            &[55, 4, 1, 3, 6, 15],
            b"\x3c\x09MSFT 5.0\0",
            &[61, 7, 1, 2, 0, 0, 0, 0, 0xab],
            b"\x51\x11\0\0\0laptop.example",
            &[255],
        ];
        let says = [
            format!("{MAC} host laptop.example"),
            "10.0.0.9 laptop.example".to_owned(),
            format!("{MAC} host laptop"),
            "10.0.0.9 laptop".to_owned(),
            format!("{MAC} vendor msft 5.0"),
            format!("{MAC} parameters 1,3,6,15"),
            format!("{MAC} client 010200000000ab"),
        ];
        assert_eq!(claims(&message(1, NONE, NONE, &options)), says);
        // In a DISCOVER the address is a wish; in a renewal it is in the header.
        let mut discover = options;
        discover[0] = &[53, 1, 1];
        let unnamed = says.iter().filter(|line| line.starts_with(MAC)).collect::<Vec<_>>();
        assert_eq!(claims(&message(1, NONE, NONE, &discover)).iter().collect::<Vec<_>>(), unnamed);
        let renewal = claims(&message(1, OWN, NONE, &options));
        assert_eq!(renewal[3], "10.0.0.5 laptop");
        // Nobody but a client may say so.
        assert!(claims(&message(2, OWN, NONE, &options)).is_empty());
    }

    #[test]
    fn an_ack_ties_the_address() {
        for (kind, says) in [(5, vec![format!("{MAC} 10.0.0.5")]), (2, vec![]), (6, vec![])] {
            let options: [&[u8]; 3] = [&[53, 1, kind], b"\x0c\x03srv", &[255]];
            assert_eq!(claims(&message(2, NONE, OWN, &options)), says);
            assert!(claims(&message(1, NONE, OWN, &options)).is_empty());
        }
        // An answer to INFORM gives no address.
        assert!(claims(&message(2, OWN, NONE, &[&[53, 1, 5]])).is_empty());
    }

    #[test]
    fn options_go_on_in_other_fields() {
        let options: [&[u8]; 4] = [&[53, 1, 3], &[52, 1, 3], b"\x0c\x03abc", &[255, 12, 1, b'x']];
        let mut message = message(1, OWN, NONE, &options);
        message[108..113].copy_from_slice(b"\x0c\x02de\xff");
        message[44..48].copy_from_slice(b"\x0c\x01f\xff");
        assert_eq!(claims(&message)[1], "10.0.0.5 abcdef");
        for (lent, name) in [(1, "10.0.0.5 abcde"), (2, "10.0.0.5 abcf"), (0, "10.0.0.5 abc")] {
            message[245] = lent;
            assert_eq!(claims(&message)[1], name);
        }
    }

    #[test]
    fn a_full_name_comes_as_text_or_labels() {
        let name = |value: &[u8]| full_name(value).map(|name| String::from_utf8(name).unwrap());
        assert_eq!(name(b"\0\0\0tv.home\0"), Some("tv.home".into()));
        assert_eq!(name(b"\x05\0\0\x02tv\x04home\0"), Some("tv.home".into()));
        assert_eq!(name(b"\x04\0\0\x02tv"), Some("tv".into()));
        assert_eq!(name(b"\x04\0\0\x09tv"), None);
        assert_eq!(name(b"\x04\0\0\x04a.b.\0"), None);
        assert_eq!(name(b"\x04\0\0\xc0\x03"), None);
        assert_eq!(name(b"\x04\0"), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert_eq!(list(&[255; 255]).len(), 255);
        assert_eq!(list(&[]), "");
        let options: [&[u8]; 3] = [&[53, 1, 3], &[12, 9, b'a'], &[255]];
        assert!(claims(&message(1, OWN, NONE, &options)).is_empty());
        let mut other = message(1, OWN, NONE, &[&[53, 1, 3], b"\x0c\x01a\xff"]);
        assert_eq!(lines(read, &packet(&other)).len(), 2);
        other[1] = 32; // InfiniBand.
        assert!(lines(read, &packet(&other)).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(operation in 1..3u8, lent in 0..4u8,
                              bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            lines(read, &packet(&bytes));
            let mut message = message(operation, OWN, OWN, &[&[52, 1, lent], &bytes]);
            lines(read, &packet(&message));
            let length = bytes.len().min(192);
            message[44..44 + length].copy_from_slice(&bytes[..length]);
            lines(read, &packet(&message));
        }
    }
}
