//! What a dissector learns from a packet.

use std::fmt;
use std::net::IpAddr;

use crate::decode::Mac;

/// The longest name, bytes.
pub const LONGEST: usize = 255;

/// A name as somebody claims it: UTF-8, lower case, 1 to [`LONGEST`] bytes, without control and
/// formatting characters, without a dot at the end. It is still a stranger's text: escape it
/// wherever it goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// A name from the bytes of a packet; `None` if they are none.
    pub fn new(bytes: &[u8]) -> Option<Name> {
        let text = std::str::from_utf8(bytes).ok()?.trim().trim_end_matches('.');
        if text.is_empty() || text.len() > LONGEST || text.chars().any(is_harmful) {
            return None;
        }
        let lower = text.to_lowercase();
        (lower.len() <= LONGEST).then(|| Name(lower.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Whether a character could deceive a reader or a terminal: controls, and the invisible ones that
/// change how text is laid out (Unicode general categories Cf, Zl and Zp, and the variation
/// selectors and fillers that are rendered as nothing).
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The protocol that a claim was read from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// An answer of a name server: an address for a name that was asked for.
    Dns,
    /// An answer of a name server: the name of an address.
    DnsPtr,
    /// Multicast DNS (RFC 6762): an address of a name.
    Mdns,
    /// Multicast DNS: the name of an address.
    MdnsPtr,
    /// Link-local multicast name resolution (RFC 4795).
    Llmnr,
    /// NetBIOS name service (RFC 1002).
    Nbns,
    /// NetBIOS datagrams, and the announcements of Windows' browser in them.
    Nbdgm,
    /// DHCP for IPv4 (RFC 2131).
    Dhcp,
    /// DHCP for IPv6 (RFC 8415).
    Dhcp6,
    /// The server name of a TLS hello (RFC 6066).
    Tls,
    /// The same in QUIC (RFC 9001).
    Quic,
    /// The Host of a plain HTTP request.
    Http,
    /// Simple service discovery (UPnP).
    Ssdp,
    /// Address resolution (RFC 826).
    Arp,
    /// Neighbour discovery (RFC 4861).
    Ndp,
    /// Link layer discovery (IEEE 802.1AB).
    Lldp,
    /// Cisco discovery protocol.
    Cdp,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 17] = [
        Source::Dns,
        Source::DnsPtr,
        Source::Mdns,
        Source::MdnsPtr,
        Source::Llmnr,
        Source::Nbns,
        Source::Nbdgm,
        Source::Dhcp,
        Source::Dhcp6,
        Source::Tls,
        Source::Quic,
        Source::Http,
        Source::Ssdp,
        Source::Arp,
        Source::Ndp,
        Source::Lldp,
        Source::Cdp,
    ];

    /// The name in answers and reports.
    pub fn name(self) -> &'static str {
        match self {
            Source::Dns => "dns",
            Source::DnsPtr => "dns_ptr",
            Source::Mdns => "mdns",
            Source::MdnsPtr => "mdns_ptr",
            Source::Llmnr => "llmnr",
            Source::Nbns => "nbns",
            Source::Nbdgm => "nbdgm",
            Source::Dhcp => "dhcp",
            Source::Dhcp6 => "dhcp6",
            Source::Tls => "tls",
            Source::Quic => "quic",
            Source::Http => "http",
            Source::Ssdp => "ssdp",
            Source::Arp => "arp",
            Source::Ndp => "ndp",
            Source::Lldp => "lldp",
            Source::Cdp => "cdp",
        }
    }
}

/// What one packet says of a name or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// An address has a name.
    Name {
        /// Whose name it is.
        address: IpAddr,
        /// The name.
        name: Name,
        /// Where it was read.
        source: Source,
        /// Seconds for which it holds, if the protocol says so.
        ttl: Option<u32>,
        /// Whether many unrelated services share it: the outer name of a TLS hello whose real one
        /// is encrypted (ECH).
        is_shared: bool,
    },
    /// A hardware address has an address.
    Link {
        /// The address.
        address: IpAddr,
        /// Whose it is.
        mac: Mac,
        /// Where it was read.
        source: Source,
    },
    /// A device says something of itself that is neither a name nor an address.
    Trait {
        /// The device.
        mac: Mac,
        /// What it says.
        what: Trait,
        /// The text.
        text: Name,
        /// Where it was read.
        source: Source,
    },
}

/// What a device can say of itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trait {
    /// Its name, before it has an address: DHCP option 12 or 81, LLDP's system name, CDP's device
    /// id.
    Hostname,
    /// DHCP option 60, CDP's platform, the SERVER of SSDP.
    Vendor,
    /// The options that a DHCP client asks for, in its order: `1,3,6,15`. A fingerprint of its
    /// operating system.
    Parameters,
    /// DHCP option 61 or a DHCPv6 DUID, in hexadecimal digits.
    ClientId,
    /// A service that mDNS announces: `_airplay._tcp.local`.
    Service,
    /// A model: mDNS TXT `md=`, `model=` and `ty=`.
    Model,
}

/// Takes the claims of a dissector.
pub type Sink<'a> = &'a mut dyn FnMut(Claim);

/// A packet of which a dissector reads the payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since 1970 UTC, or [`crate::decode::NO_TIME`].
    pub time: i64,
    /// The source hardware address of the frame; unknown if it has none.
    pub mac: Mac,
    /// The IP header's source; the unspecified address in frames without one.
    pub source: IpAddr,
    /// The IP header's destination.
    pub destination: IpAddr,
    /// Source and destination port of TCP and UDP, else 0.
    pub ports: (u16, u16),
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// What follows the UDP, TCP or IP header, or all of the ARP, LLDP or CDP message. As captured:
    /// it may be cut short; link-layer padding is left out.
    pub payload: &'a [u8],
}

impl Claim {
    /// Claims that an address has a name, if these bytes are one.
    pub fn name(address: IpAddr, name: &[u8], source: Source, claims: Sink<'_>) {
        if let Some(name) = Name::new(name)
            && !address.is_unspecified()
            && !address.is_multicast()
        {
            claims(Claim::Name { address, name, source, ttl: None, is_shared: false });
        }
    }

    /// Claims that a hardware address has an address. Group addresses and zeros own none.
    pub fn link(address: IpAddr, mac: Mac, source: Source, claims: Sink<'_>) {
        let is_one_station = mac.is_known() && mac.0[0] & 1 == 0;
        if is_one_station && !address.is_unspecified() && !address.is_multicast() {
            claims(Claim::Link { address, mac, source });
        }
    }

    /// Claims that a device says this of itself, if these bytes are text.
    pub fn says(mac: Mac, what: Trait, text: &[u8], source: Source, claims: Sink<'_>) {
        if let Some(text) = Name::new(text)
            && mac.is_known()
            && mac.0[0] & 1 == 0
        {
            claims(Claim::Trait { mac, what, text, source });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_without_traps() {
        let name = |bytes: &[u8]| Name::new(bytes).map(|name| name.as_str().to_owned());
        assert_eq!(name(b"TV.Example. "), Some("tv.example".to_owned()));
        assert_eq!(name("Küche".as_bytes()), Some("küche".to_owned()));
        for bad in [
            &b""[..],
            b" . ",
            b"a\x1b[31mb",
            b"a\0b",
            b"a\nb",
            b"\xff\xfe",
            "a\u{202e}b".as_bytes(),
            "a\u{200b}b".as_bytes(),
            "\u{feff}a".as_bytes(),
            &[b'a'; 256],
        ] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
        assert_eq!(name(&[b'a'; 255]).map(|name| name.len()), Some(255));
        // Lower case may be longer: the limit holds for that, too.
        assert_eq!(name("\u{130}".repeat(127).as_bytes()), None);
    }
}
