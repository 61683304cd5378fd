//! The link layers, down to the outermost IPv4, IPv6 or ARP header.
//!
//! One [`LinkLayer`] per capture handle; [`walk`] runs per frame. Numbers are libpcap's
//! DLT values (<https://www.tcpdump.org/linktypes.html>).

use super::record::Defect;
use super::{Network, PacketRecord, ip, wifi};

/// How the frames of one capture begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkLayer {
    /// Ethernet (DLT_EN10MB).
    Ethernet,
    /// Linux "cooked", version 1 (DLT_LINUX_SLL).
    Cooked1,
    /// Linux "cooked", version 2 (DLT_LINUX_SLL2).
    Cooked2,
    /// IPv4 or IPv6 without a link layer (DLT_RAW, DLT_IPV4, DLT_IPV6).
    RawIp,
    /// BSD loopback, family in the byte order of the writer (DLT_NULL).
    Null,
    /// OpenBSD loopback, family in network byte order (DLT_LOOP).
    Loop,
    /// PPP, with or without HDLC framing (DLT_PPP, DLT_PPP_SERIAL).
    Ppp,
    /// PPP as pppd writes it, a direction byte first (DLT_PPP_PPPD).
    PppDirection,
    /// PPPoE session frames without their Ethernet header (DLT_PPP_ETHER).
    Pppoe,
    /// Cisco HDLC (DLT_C_HDLC).
    CiscoHdlc,
    /// Frame relay (DLT_FRELAY).
    FrameRelay,
    /// IEEE 802.11 (DLT_IEEE802_11).
    Wifi,
    /// IEEE 802.11 behind a radiotap header (DLT_IEEE802_11_RADIO).
    Radiotap,
    /// IEEE 802.11 behind a 144-byte Prism header (DLT_PRISM_HEADER).
    Prism,
    /// IEEE 802.11 behind an AVS header (DLT_IEEE802_11_RADIO_AVS).
    Avs,
    /// Per-packet information, which names the link type itself (DLT_PPI).
    Ppi,
    /// Linux netfilter log messages (DLT_NFLOG).
    Nflog,
    /// Anything else: frames and bytes are counted, nothing is looked into.
    Unknown,
}

impl LinkLayer {
    /// The link layer for a libpcap DLT number.
    pub fn from_dlt(dlt: i32) -> LinkLayer {
        match dlt {
            0 => LinkLayer::Null,
            1 => LinkLayer::Ethernet,
            9 | 50 => LinkLayer::Ppp,
            12 | 14 | 101 | 228 | 229 => LinkLayer::RawIp,
            51 => LinkLayer::Pppoe,
            104 => LinkLayer::CiscoHdlc,
            105 => LinkLayer::Wifi,
            107 => LinkLayer::FrameRelay,
            108 => LinkLayer::Loop,
            113 => LinkLayer::Cooked1,
            119 => LinkLayer::Prism,
            127 => LinkLayer::Radiotap,
            163 => LinkLayer::Avs,
            166 => LinkLayer::PppDirection,
            192 => LinkLayer::Ppi,
            239 => LinkLayer::Nflog,
            276 => LinkLayer::Cooked2,
            _ => LinkLayer::Unknown,
        }
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Reads a frame's link layer and what follows into `record`.
#[inline(always)]
pub(super) fn walk(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    match link {
        LinkLayer::Ethernet => match frame.first_chunk::<14>() {
            Some(header) => {
                record.set_extra(mac(header, 6));
                let (kind, rest) = (u16::from_be_bytes([header[12], header[13]]), &frame[14..]);
                // Most frames by far, so they do not take the long way.
                if kind == ETHERTYPE_IPV4 {
                    ip::v4(rest, record);
                } else {
                    ethertype(kind, rest, record);
                }
            }
            None => record.set_short(),
        },
        _ => uncommon(link, frame, record),
    }
}

#[inline(never)]
fn uncommon(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    match link {
        LinkLayer::Ethernet => walk(link, frame, record),
        LinkLayer::Cooked1 => match frame.first_chunk::<16>() {
            Some(header) => {
                if header[4..6] == [0, 6] {
                    record.set_extra(mac(header, 6));
                }
                cooked(u16::from_be_bytes([header[14], header[15]]), &frame[16..], record);
            }
            None => record.set_short(),
        },
        LinkLayer::Cooked2 => match frame.first_chunk::<20>() {
            Some(header) => {
                if header[11] == 6 {
                    record.set_extra(mac(header, 12));
                }
                cooked(u16::from_be_bytes([header[0], header[1]]), &frame[20..], record);
            }
            None => record.set_short(),
        },
        LinkLayer::RawIp => ip::any(frame, record),
        LinkLayer::Null | LinkLayer::Loop => match frame.first_chunk::<4>() {
            Some(&family) => {
                // DLT_NULL does not say whose byte order it is; families are small.
                let (le, be) = (u32::from_le_bytes(family), u32::from_be_bytes(family));
                let family = if link == LinkLayer::Null { le.min(be) } else { be };
                match family {
                    2 => ip::v4(&frame[4..], record),
                    // AF_INET6 of Linux, Windows, NetBSD, FreeBSD and Darwin.
                    10 | 23 | 24 | 28 | 30 => ip::v6(&frame[4..], record),
                    _ => {}
                }
            }
            None => record.set_short(),
        },
        LinkLayer::Ppp => match frame {
            [0xff, 0x03, rest @ ..] => ppp(rest, record),
            // Cisco HDLC in a PPP capture: unicast or multicast, then an EtherType.
            [0x0f | 0x8f, 0x00, high, low, rest @ ..] => {
                ethertype(u16::from_be_bytes([*high, *low]), rest, record);
            }
            _ => ppp(frame, record),
        },
        LinkLayer::PppDirection => match frame {
            [0x00 | 0x01, 0x03, rest @ ..] | [0xff, 0x03, rest @ ..] => ppp(rest, record),
            _ => ppp(frame, record),
        },
        LinkLayer::Pppoe => pppoe(frame, record),
        LinkLayer::CiscoHdlc => match frame {
            [_, _, high, low, rest @ ..] => {
                ethertype(u16::from_be_bytes([*high, *low]), rest, record);
            }
            _ => record.set_short(),
        },
        LinkLayer::FrameRelay => frame_relay(frame, record),
        LinkLayer::Wifi => wifi::frame(frame, false, record),
        LinkLayer::Radiotap => wifi::radiotap(frame, record),
        LinkLayer::Prism => after(frame, Some(144), record, |rest, r| wifi::frame(rest, false, r)),
        LinkLayer::Avs => {
            let length = frame.get(4..8).and_then(|b| b.first_chunk());
            let length = length.map(|b| u32::from_be_bytes(*b) as usize);
            after(frame, length, record, |rest, r| wifi::frame(rest, false, r));
        }
        LinkLayer::Ppi => ppi(frame, record),
        LinkLayer::Nflog => nflog(frame, record),
        LinkLayer::Unknown => {}
    }
}

/// The hardware address at `at`, which the header reaches.
#[inline(always)]
fn mac<const N: usize>(header: &[u8; N], at: usize) -> [u8; 6] {
    std::array::from_fn(|i| header[at + i])
}

/// Passes a header of known length, or says that the frame is short.
pub(super) fn after(
    frame: &[u8],
    length: Option<usize>,
    record: &mut PacketRecord,
    then: impl FnOnce(&[u8], &mut PacketRecord),
) {
    match length.and_then(|length| frame.get(length..)) {
        Some(rest) => then(rest, record),
        None => record.set_short(),
    }
}

/// Goes on by EtherType (or, up to 1,500, by the length field of IEEE 802.3).
pub(super) fn ethertype(kind: u16, data: &[u8], record: &mut PacketRecord) {
    match kind {
        ETHERTYPE_IPV4 => ip::v4(data, record),
        ETHERTYPE_IPV6 => ip::v6(data, record),
        ETHERTYPE_ARP => record.set_network(Network::Arp),
        _ => tagged(kind, data, record),
    }
}

/// VLAN tags, MPLS labels, PPPoE and 802.3 length fields. A loop, not a recursion: a
/// frame may be nothing but tags, or nothing but SNAP headers that say "802.3 length".
fn tagged(mut kind: u16, mut data: &[u8], record: &mut PacketRecord) {
    loop {
        let next = match kind {
            ETHERTYPE_IPV4 => return ip::v4(data, record),
            ETHERTYPE_IPV6 => return ip::v6(data, record),
            ETHERTYPE_ARP => return record.set_network(Network::Arp),
            // 802.1Q, 802.1ad and the tag types that came before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => match data {
                [_, _, high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
                _ => return record.set_short(),
            },
            0x8847 | 0x8848 => return mpls(data, record),
            0x8864 => return pppoe(data, record),
            0..=1500 => match snap(data, record) {
                Some(next) => next,
                None => return,
            },
            _ => return,
        };
        (kind, data) = next;
    }
}

/// The protocol field of the Linux cooked headers: an EtherType, or a Linux number below
/// 1,536 of which only 802.2 (4) can lead to IP.
fn cooked(protocol: u16, data: &[u8], record: &mut PacketRecord) {
    match protocol {
        4 => llc(data, record),
        0..=1535 => {}
        _ => ethertype(protocol, data, record),
    }
}

/// IEEE 802.2 LLC and what it carries.
pub(super) fn llc(data: &[u8], record: &mut PacketRecord) {
    tagged(0, data, record);
}

/// IEEE 802.2 LLC: with SNAP (RFC 1042), returns the EtherType and what it is the type
/// of; otherwise reads what there is to read, behind the rare IP service access point.
fn snap<'a>(data: &'a [u8], record: &mut PacketRecord) -> Option<(u16, &'a [u8])> {
    match data {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, rest @ ..] => {
            return Some((u16::from_be_bytes([*high, *low]), rest));
        }
        [0x06, 0x06, _, rest @ ..] => ip::v4(rest, record),
        [_, _, _, ..] if !data.starts_with(&[0xaa, 0xaa, 0x03]) || data.len() >= 8 => {}
        _ => record.set_short(),
    }
    None
}

/// The label stack (RFC 3032); what it carries is told by the first nibble, as routers do.
fn mpls(mut data: &[u8], record: &mut PacketRecord) {
    loop {
        let Some(&[_, _, bottom, _]) = data.first_chunk::<4>() else {
            return record.set_short();
        };
        data = &data[4..];
        if bottom & 1 != 0 {
            break;
        }
    }
    match data.first().map(|first| first >> 4) {
        Some(4) => ip::v4(data, record),
        Some(6) => ip::v6(data, record),
        Some(_) => {}
        None => record.set_short(),
    }
}

/// PPPoE (RFC 2516): 6 bytes, then PPP.
fn pppoe(data: &[u8], record: &mut PacketRecord) {
    after(data, Some(6), record, ppp);
}

/// The PPP protocol field (RFC 1661), compressed to one byte where it is odd.
fn ppp(data: &[u8], record: &mut PacketRecord) {
    let (protocol, rest) = match data {
        [one, rest @ ..] if one & 1 != 0 => (u16::from(*one), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return record.set_short(),
    };
    match protocol {
        0x0021 => ip::v4(rest, record),
        0x0057 => ip::v6(rest, record),
        0x0281 | 0x0283 => mpls(rest, record),
        _ => {}
    }
}

/// Frame relay (RFC 2427): an address of 2 to 4 bytes, a control byte, then an NLPID.
fn frame_relay(frame: &[u8], record: &mut PacketRecord) {
    // The last address byte has its lowest bit set.
    let Some(last) = frame.iter().take(4).position(|byte| byte & 1 != 0) else {
        return record.set_short();
    };
    match &frame[last + 1..] {
        [0x03, 0xcc, rest @ ..] => ip::v4(rest, record),
        [0x03, 0x8e, rest @ ..] => ip::v6(rest, record),
        [0x03, 0x00, 0x80, 0, 0, 0, high, low, rest @ ..] => {
            ethertype(u16::from_be_bytes([*high, *low]), rest, record);
        }
        [] | [_] => record.set_short(),
        cut if cut.len() < 8 && [3, 0, 0x80, 0, 0, 0].starts_with(&cut[..cut.len().min(6)]) => {
            record.set_short();
        }
        _ => {}
    }
}

/// Per-packet information: little-endian length at 2, DLT at 4.
fn ppi(frame: &[u8], record: &mut PacketRecord) {
    let Some(&[_, _, low, high, a, b, c, d]) = frame.first_chunk::<8>() else {
        return record.set_short();
    };
    let inner = LinkLayer::from_dlt(i32::from_le_bytes([a, b, c, d]));
    let length = usize::from(u16::from_le_bytes([low, high]));
    // A header that names itself again, at no length, would never end.
    if length < 8 || inner == LinkLayer::Ppi {
        return record.set_defect(Defect::Malformed);
    }
    after(frame, Some(length), record, |rest, record| walk(inner, rest, record));
}

/// Netfilter log: attributes in the writer's order (little-endian in practice), of which
/// number 9 is the packet.
fn nflog(frame: &[u8], record: &mut PacketRecord) {
    let Some(mut rest) = frame.get(4..) else {
        return record.set_short();
    };
    while let Some(&[a, b, c, d]) = rest.first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([a, b]));
        if length < 4 {
            return record.set_defect(Defect::Malformed);
        }
        if u16::from_le_bytes([c, d]) == 9 {
            let packet = &rest[4..length.min(rest.len()).max(4)];
            return match frame[0] {
                2 => ip::v4(packet, record),
                10 => ip::v6(packet, record),
                _ => {}
            };
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    if record.captured_len < record.wire_len {
        record.set_short();
    }
}
