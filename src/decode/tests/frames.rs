//! Builders of packets and of the headers in front of them.

use crate::decode::LinkLayer;

/// The ends of the packets that are built here.
pub const SOURCE_V4: [u8; 4] = [192, 168, 1, 10];
pub const DESTINATION_V4: [u8; 4] = [203, 0, 113, 5];
pub const SOURCE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const DESTINATION_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// The station that sends, wherever a link layer shows it.
pub const SENDER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// A station that sends through another one, or another network.
pub const OUTSIDER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x04];
const RECEIVER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const ACCESS_POINT: [u8; 6] = [0x02, 0, 0, 0, 0, 0x03];

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const ARP: u16 = 0x0806;

pub fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Fields of an IPv4 header; those that are `None` are filled in correctly.
#[derive(Clone)]
pub struct Ipv4 {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub protocol: u8,
    pub options: &'static [u8],
    pub identification: u16,
    /// "More fragments" is 0x2000, the rest is in units of 8 bytes.
    pub fragment: u16,
    pub total_len: Option<u16>,
    pub header_words: Option<u8>,
    pub checksum: Option<u16>,
}

impl Ipv4 {
    pub fn of(protocol: u8) -> Ipv4 {
        Ipv4 {
            source: SOURCE_V4,
            destination: DESTINATION_V4,
            protocol,
            options: &[],
            identification: 0x1234,
            fragment: 0,
            total_len: None,
            header_words: None,
            checksum: None,
        }
    }

    pub fn with(&self, payload: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let words = self.header_words.unwrap_or((header_len / 4) as u8);
        let total = self.total_len.unwrap_or((header_len + payload.len()) as u16);
        let mut header = cat(&[
            &[0x40 | words, 0],
            &total.to_be_bytes(),
            &self.identification.to_be_bytes(),
            &self.fragment.to_be_bytes(),
            &[64, self.protocol, 0, 0],
            &self.source,
            &self.destination,
            self.options,
        ]);
        let mut sum: u32 =
            header.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let checksum = self.checksum.unwrap_or(!(sum as u16));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        cat(&[&header, payload])
    }
}

pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ipv4::of(protocol).with(payload)
}

pub fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_between(SOURCE_V6, DESTINATION_V6, next_header, payload)
}

pub fn ipv6_between(
    source: [u8; 16],
    destination: [u8; 16],
    next_header: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    cat(&[&[0x60, 0, 0, 0], &length, &[next_header, 64], &source, &destination, payload])
}

/// A destination options header (RFC 8200) of 8 bytes; as hop-by-hop it looks the same.
pub fn options(next_header: u8) -> [u8; 8] {
    [next_header, 0, 1, 4, 0, 0, 0, 0]
}

/// An IPv6 fragment header, identification 7.
pub fn fragment_header(next_header: u8, offset: u16, more: bool) -> [u8; 8] {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    [next_header, 0, high, low, 0, 0, 0, 7]
}

pub fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let words = [source, destination, length, 0].map(u16::to_be_bytes);
    cat(&[words.as_flattened(), data])
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

pub fn tcp(ports: (u16, u16), sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    cat(&[
        &ports.0.to_be_bytes(),
        &ports.1.to_be_bytes(),
        &sequence.to_be_bytes(),
        &[0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0],
        data,
    ])
}

/// The packet that most link layer tests carry: UDP from port 5353 to port 53.
pub fn small() -> Vec<u8> {
    ipv4(17, &udp(5353, 53, b"hello"))
}

pub fn small_v6() -> Vec<u8> {
    ipv6(17, &udp(5353, 53, b"hello"))
}

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&RECEIVER, &SENDER, &kind.to_be_bytes(), payload])
}

pub fn vlan(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[0, 42], &kind.to_be_bytes(), payload])
}

/// LLC and SNAP (RFC 1042).
pub fn snap(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[0xaa, 0xaa, 3, 0, 0, 0], &kind.to_be_bytes(), payload])
}

/// 802.3: a length where Ethernet has a type.
pub fn ethernet_with_length(payload: &[u8]) -> Vec<u8> {
    ethernet(payload.len() as u16, payload)
}

/// A tag of zeros of this length, then a type.
pub fn tag(length: usize, kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&vec![0; length], &kind.to_be_bytes(), payload])
}

/// Cisco metadata with as many options as given.
pub fn metadata(options: u8, kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[1, options], &[0, 1, 0, 10].repeat(options.into()), &kind.to_be_bytes(), payload])
}

/// A batman-adv header of version 15, of a kind that carries a frame.
pub fn batman(kind: u8, frame: &[u8]) -> Vec<u8> {
    let length = match kind {
        0x01 => 14,
        0x40 => 10,
        _ => 18,
    };
    let mut header = vec![9; length];
    (header[0], header[1]) = (kind, 15);
    cat(&[&header, frame])
}

/// A token ring frame of LLC with a route.
pub fn token_ring(route: &[u8], llc: &[u8]) -> Vec<u8> {
    let mut source = SENDER;
    if !route.is_empty() {
        source[0] |= 0x80;
    }
    cat(&[&[0x10, 0x40], &RECEIVER, &source, route, llc])
}

/// A backbone service tag, then a customer's frame.
pub fn backbone(frame: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 1, 2], frame])
}

/// TRILL with this many options of 4 bytes, then a frame.
pub fn trill(options: u8, frame: &[u8]) -> Vec<u8> {
    let bits = (u16::from(options) << 6).to_be_bytes();
    cat(&[&bits, &[0, 1, 0, 2], &[9; 4].repeat(options.into()), frame])
}

/// A network service header of this many words of 4 bytes, then its payload.
pub fn service_function(words: u8, carried: u8, payload: &[u8]) -> Vec<u8> {
    let more = [0xee; 4].repeat(usize::from(words.max(1)) - 1);
    cat(&[&[0x0f, words, 1, carried], &more, payload])
}

/// MACsec without encryption, its channel named or not.
pub fn macsec(is_named: bool, kind: u16, payload: &[u8]) -> Vec<u8> {
    let (bits, channel): (u8, &[u8]) = if is_named { (0x20, &[7; 8]) } else { (0, &[]) };
    cat(&[&[bits, 0, 0, 0, 0, 1], channel, &kind.to_be_bytes(), payload])
}

/// Two labels, the second at the bottom of the stack.
pub fn mpls(payload: &[u8]) -> Vec<u8> {
    cat(&[&[0, 1, 0, 64, 0, 2, 1, 64], payload])
}

pub fn pppoe(ppp: &[u8]) -> Vec<u8> {
    cat(&[&[0x11, 0, 0, 1], &(ppp.len() as u16).to_be_bytes(), ppp])
}

pub fn cooked1(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 0, 1, 0, 6], &SENDER, &[0, 0], &kind.to_be_bytes(), payload])
}

pub fn cooked2(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&kind.to_be_bytes(), &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6], &SENDER, &[0, 0], payload])
}

/// The bits of an 802.11 frame control field (as read little-endian).
pub const DATA: u16 = 0x0008;
pub const QOS: u16 = 0x0080;
pub const TO_DS: u16 = 0x0100;
pub const FROM_DS: u16 = 0x0200;
pub const PROTECTED: u16 = 0x4000;
pub const ORDER: u16 = 0x8000;

/// A mesh data frame with `outside` addresses of stations outside the mesh; the last one is the
/// sender's.
pub fn mesh(ways: u16, outside: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = wifi_header(DATA | QOS | ways);
    let end = header.len();
    header[end - 1] = 1;
    let mut addresses = [ACCESS_POINT].repeat(outside.into());
    if let Some(last) = addresses.last_mut() {
        *last = OUTSIDER;
    }
    cat(&[&header, &[outside, 31, 1, 0, 0, 0], addresses.as_flattened(), &snap(IPV4, payload)])
}

/// An 802.11 MAC header with the parts that `control` asks for, without padding.
pub fn wifi_header(control: u16) -> Vec<u8> {
    let addresses = match control & (TO_DS | FROM_DS) {
        TO_DS => [ACCESS_POINT, SENDER, RECEIVER],
        FROM_DS => [RECEIVER, ACCESS_POINT, SENDER],
        0 => [RECEIVER, SENDER, ACCESS_POINT],
        _ => [ACCESS_POINT, ACCESS_POINT, RECEIVER],
    };
    let mut header = cat(&[&control.to_le_bytes(), &[0, 0], addresses.as_flattened(), &[0x10, 0]]);
    if control & (TO_DS | FROM_DS) == TO_DS | FROM_DS {
        header.extend(SENDER);
    }
    if control & QOS != 0 {
        header.extend([0, 0]);
        if control & ORDER != 0 {
            header.extend([0; 4]);
        }
    }
    header
}

pub fn wifi(control: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&wifi_header(control), &snap(IPV4, payload)])
}

/// Radiotap with the TSFT and flags fields, its length 17.
pub fn radiotap(flags: u8, frame: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 17, 0, 3, 0, 0, 0], &[0xee; 8], &[flags], frame])
}

pub fn prism(frame: &[u8]) -> Vec<u8> {
    cat(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], frame])
}

pub fn avs(frame: &[u8]) -> Vec<u8> {
    cat(&[&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64], &[0; 56], frame])
}

/// Per-packet information of 12 bytes in front of a frame of this DLT.
pub fn ppi(dlt: u32, frame: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 12, 0], &dlt.to_le_bytes(), &[9; 4], frame])
}

/// A netfilter log message: packet header, sender and a prefix attribute, then the packet.
pub fn nflog(family: u8, kind: u16, packet: &[u8]) -> Vec<u8> {
    let length = (4 + packet.len() as u16).to_le_bytes();
    let [high, low] = kind.to_be_bytes();
    cat(&[
        &[family, 0, 0, 5],
        &[8, 0, 1, 0, high, low, 1, 0],
        &[16, 0, 8, 0, 0, 6, 0, 0],
        &SENDER,
        &[0, 0],
        &[5, 0, 10, 0, 0, 0xff, 0xff, 0xff],
        &length,
        &[9, 0],
        packet,
    ])
}

/// The same, as a big-endian machine captures it.
pub fn nflog_big_endian(family: u8, kind: u16, packet: &[u8]) -> Vec<u8> {
    let length = (4 + packet.len() as u16).to_be_bytes();
    let [high, low] = kind.to_be_bytes();
    cat(&[&[family, 0, 0, 5], &[0, 8, 0, 1, high, low, 1, 0], &length, &[0, 9], packet])
}

/// A well-made frame of every link layer, by name.
pub fn every_kind() -> Vec<(&'static str, LinkLayer, Vec<u8>)> {
    use LinkLayer::{
        Atm, Avs, CiscoHdlc, CiscoHdlcDirected, Cooked1, Cooked2, Enc, Ethernet, Fddi,
        FibreChannel, Firewire, FrameRelay, FrameRelayDirected, Loop, Mpls, NetAnalyzer, Nflog,
        Null, Ppi, Ppp, PppDirected, PppDirection, Pppoe, Prism, Radiotap, RawIp, TokenRing, Wifi,
    };
    let (v4, v6) = (small(), small_v6());
    let segment = tcp((40_000, 443), 9, ACK, b"data");
    let ppp = cat(&[&[0, 0x21], &v4]);
    let extended = ipv6(0, &cat(&[&options(43), &options(60), &options(6), &segment]));
    let pieces = ipv6(44, &cat(&[&fragment_header(17, 0, true), &udp(5353, 53, b"12345678")]));
    let later = Ipv4 { fragment: 3, ..Ipv4::of(17) }.with(b"the rest");
    let four = TO_DS | FROM_DS | QOS | DATA;
    vec![
        ("Ethernet, IPv4", Ethernet, ethernet(IPV4, &v4)),
        ("Ethernet, IPv6", Ethernet, ethernet(IPV6, &v6)),
        ("TCP", Ethernet, ethernet(IPV4, &ipv4(6, &segment))),
        ("SCTP", Ethernet, ethernet(IPV4, &ipv4(132, &[0x8e, 0x3c, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0]))),
        ("IPv6 extension headers", Ethernet, ethernet(IPV6, &extended)),
        ("IPv6 fragment", Ethernet, ethernet(IPV6, &pieces)),
        ("IPv4 fragment", Ethernet, ethernet(IPV4, &later)),
        ("IPv4 options", RawIp, Ipv4 { options: &[1; 40], ..Ipv4::of(6) }.with(&segment)),
        ("ICMP unreachable", RawIp, ipv4(1, &cat(&[&[3, 1, 0, 0, 0, 0, 0, 0], &v4]))),
        ("GRE", RawIp, ipv4(47, &cat(&[&[0, 0, 8, 0], &v4]))),
        ("802.1Q", Ethernet, ethernet(0x8100, &vlan(IPV4, &v4))),
        ("QinQ", Ethernet, ethernet(0x88a8, &vlan(0x8100, &vlan(IPV6, &v6)))),
        ("MPLS", Ethernet, ethernet(0x8847, &mpls(&v4))),
        ("PPPoE on Ethernet", Ethernet, ethernet(0x8864, &pppoe(&ppp))),
        ("SNAP", Ethernet, ethernet_with_length(&snap(IPV4, &v4))),
        ("LLC with the IP access point", Ethernet, ethernet_with_length(&cat(&[&[6, 6, 3], &v4]))),
        ("cooked 1", Cooked1, cooked1(IPV4, &v4)),
        ("cooked 2", Cooked2, cooked2(IPV6, &v6)),
        ("cooked 1, 802.2", Cooked1, cooked1(4, &snap(IPV4, &v4))),
        ("raw IPv4", RawIp, v4.clone()),
        ("raw IPv6", RawIp, v6.clone()),
        ("null, little-endian", Null, cat(&[&[2, 0, 0, 0], &v4])),
        ("null, big-endian", Null, cat(&[&[0, 0, 0, 30], &v6])),
        ("loop", Loop, cat(&[&[0, 0, 0, 24], &v6])),
        ("PPP", Ppp, ppp.clone()),
        ("PPP, compressed protocol", Ppp, cat(&[&[0x57], &v6])),
        ("PPP in HDLC framing", Ppp, cat(&[&[0xff, 3], &ppp])),
        ("PPP, MPLS", Ppp, cat(&[&[2, 0x81], &mpls(&v6)])),
        ("Cisco HDLC as PPP", Ppp, cat(&[&[0x0f, 0, 8, 0], &v4])),
        ("PPP with direction", PppDirection, cat(&[&[1, 3], &ppp])),
        ("PPPoE alone", Pppoe, pppoe(&ppp)),
        ("Cisco HDLC", CiscoHdlc, cat(&[&[0x8f, 0, 0x86, 0xdd], &v6])),
        ("frame relay, IPv4", FrameRelay, cat(&[&[0x18, 0x41, 3, 0xcc], &v4])),
        ("frame relay, IPv6", FrameRelay, cat(&[&[0x18, 0x40, 0x41, 3, 0x8e], &v6])),
        ("frame relay, SNAP", FrameRelay, cat(&[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &v4])),
        ("802.11", Wifi, wifi(DATA | TO_DS, &v4)),
        ("802.11, four addresses, QoS", Wifi, wifi(four, &v4)),
        ("radiotap", Radiotap, radiotap(0, &wifi(DATA | FROM_DS, &v4))),
        ("Prism", Prism, prism(&wifi(DATA, &v4))),
        ("AVS", Avs, avs(&wifi(DATA | QOS, &v4))),
        ("PPI, 802.11", Ppi, ppi(105, &wifi(DATA | FROM_DS, &v4))),
        ("PPI, Ethernet", Ppi, ppi(1, &ethernet(IPV4, &v4))),
        ("NFLOG, IPv4", Nflog, nflog(2, IPV4, &v4)),
        ("NFLOG, IPv6", Nflog, nflog(10, IPV6, &v6)),
        ("NFLOG of a bridge", Nflog, nflog(7, 0x8100, &vlan(IPV6, &v6))),
        ("NFLOG, big-endian", Nflog, nflog_big_endian(7, IPV4, &v4)),
        ("MPLS alone", Mpls, mpls(&v4)),
        ("PPP behind its direction", PppDirected, cat(&[&[0], &ppp])),
        ("Cisco HDLC behind its direction", CiscoHdlcDirected, cat(&[&[1, 0x8f, 0, 8, 0], &v4])),
        (
            "frame relay behind its direction",
            FrameRelayDirected,
            cat(&[&[1, 0x18, 0x41, 3, 0xcc], &v4]),
        ),
        ("ATM", Atm, snap(IPV4, &v4)),
        ("token ring", TokenRing, token_ring(&[], &snap(IPV4, &v4))),
        ("token ring, routed", TokenRing, token_ring(&[0x06, 0, 0, 1, 0, 2], &snap(IPV6, &v6))),
        ("FDDI", Fddi, cat(&[&[0x50], &RECEIVER, &SENDER, &snap(IPV4, &v4)])),
        (
            "Fibre Channel",
            FibreChannel,
            cat(&[&[0x10, 0], &RECEIVER, &[0x10, 0], &SENDER, &snap(IPV4, &v4)]),
        ),
        ("FireWire", Firewire, cat(&[&[1; 8], &[2; 8], &IPV6.to_be_bytes(), &v6])),
        ("enc", Enc, cat(&[&[2, 0, 0, 0], &[7; 8], &v4])),
        ("netANALYZER", NetAnalyzer, cat(&[&[1, 2, 3, 4], &ethernet(IPV4, &v4)])),
        ("redundancy tag", Ethernet, ethernet(0xf1c1, &tag(4, IPV4, &v4))),
        ("LLC without a length", Ethernet, ethernet(0x8870, &snap(IPV4, &v4))),
        ("batman-adv, to one", Ethernet, ethernet(0x4305, &batman(0x40, &ethernet(IPV4, &v4)))),
        (
            "batman-adv, from one to one",
            Ethernet,
            ethernet(0x4305, &batman(0x42, &ethernet(IPV6, &v6))),
        ),
        (
            "batman-adv, to all",
            Ethernet,
            ethernet(0x4305, &batman(0x01, &ethernet(0x8100, &vlan(IPV4, &v4)))),
        ),
        ("VN-Tag", Ethernet, ethernet(0x8926, &tag(4, 0x8100, &vlan(IPV4, &v4)))),
        ("HSR", Ethernet, ethernet(0x892f, &tag(4, IPV6, &v6))),
        ("E-Tag", Ethernet, ethernet(0x893f, &tag(6, 0x8100, &vlan(IPV4, &v4)))),
        ("security group tag", Ethernet, ethernet(0x8909, &metadata(1, IPV4, &v4))),
        ("MACsec", Ethernet, ethernet(0x88e5, &macsec(false, IPV4, &v4))),
        (
            "MACsec, named",
            Ethernet,
            ethernet(0x88e5, &macsec(true, 0x8909, &metadata(2, IPV6, &v6))),
        ),
        ("backbone", Ethernet, ethernet(0x88a8, &vlan(0x88e7, &backbone(&ethernet(IPV6, &v6))))),
        ("TRILL", Ethernet, ethernet(0x22f3, &trill(2, &ethernet(0x8100, &vlan(IPV4, &v4))))),
        ("NSH, IPv4", Ethernet, ethernet(0x894f, &service_function(6, 1, &v4))),
        ("NSH, IPv6", Ethernet, ethernet(0x894f, &service_function(2, 2, &v6))),
        (
            "NSH, Ethernet",
            Ethernet,
            ethernet(0x894f, &service_function(3, 3, &ethernet(IPV4, &v4))),
        ),
        ("NSH, MPLS", Ethernet, ethernet(0x894f, &service_function(2, 5, &mpls(&v4)))),
        ("802.11s, to one", Wifi, mesh(TO_DS | FROM_DS, 0, &v4)),
        ("802.11s, to one beyond", Wifi, mesh(TO_DS | FROM_DS, 2, &v4)),
        ("802.11s, to all", Wifi, mesh(FROM_DS, 1, &v4)),
    ]
}
