//! The link layers, down to the outermost IPv4, IPv6 or ARP header.
//!
//! One [`LinkLayer`] per capture handle; [`walk`] runs per frame. Numbers are libpcap's
//! DLT values (<https://www.tcpdump.org/linktypes.html>).

use super::tags::{ethertype, llc, mpls};
use super::{Defect, PacketRecord, ip, lan, nflog, serial, wifi, wire_from};

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
    /// MPLS label stacks (DLT_MPLS).
    Mpls,
    /// PPP, a direction byte first (DLT_PPP_WITH_DIR).
    PppDirected,
    /// Cisco HDLC, a direction byte first (DLT_C_HDLC_WITH_DIR).
    CiscoHdlcDirected,
    /// Frame relay, a direction byte first (DLT_FRELAY_WITH_DIR).
    FrameRelayDirected,
    /// LLC in ATM (DLT_ATM_RFC1483).
    Atm,
    /// Token ring (DLT_IEEE802).
    TokenRing,
    /// FDDI (DLT_FDDI).
    Fddi,
    /// IP over Fibre Channel (DLT_IP_OVER_FC).
    FibreChannel,
    /// IP over FireWire (DLT_APPLE_IP_OVER_IEEE1394).
    Firewire,
    /// IPsec of OpenBSD (DLT_ENC).
    Enc,
    /// Ethernet behind the header of a netANALYZER (DLT_NETANALYZER).
    NetAnalyzer,
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
            6 => LinkLayer::TokenRing,
            9 | 50 => LinkLayer::Ppp,
            10 => LinkLayer::Fddi,
            11 | 100 => LinkLayer::Atm,
            12 | 14 | 101 | 228 | 229 => LinkLayer::RawIp,
            51 => LinkLayer::Pppoe,
            104 => LinkLayer::CiscoHdlc,
            105 => LinkLayer::Wifi,
            107 => LinkLayer::FrameRelay,
            108 => LinkLayer::Loop,
            109 => LinkLayer::Enc,
            113 => LinkLayer::Cooked1,
            119 => LinkLayer::Prism,
            122 => LinkLayer::FibreChannel,
            127 => LinkLayer::Radiotap,
            138 => LinkLayer::Firewire,
            163 => LinkLayer::Avs,
            166 => LinkLayer::PppDirection,
            192 => LinkLayer::Ppi,
            204 => LinkLayer::PppDirected,
            205 => LinkLayer::CiscoHdlcDirected,
            206 => LinkLayer::FrameRelayDirected,
            219 => LinkLayer::Mpls,
            239 => LinkLayer::Nflog,
            240 => LinkLayer::NetAnalyzer,
            276 => LinkLayer::Cooked2,
            _ => LinkLayer::Unknown,
        }
    }
}

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;

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
                let device = u16::from_be_bytes([header[2], header[3]]);
                let protocol = u16::from_be_bytes([header[14], header[15]]);
                cooked(device, protocol, &frame[16..], record);
            }
            None => record.set_short(),
        },
        LinkLayer::Cooked2 => match frame.first_chunk::<20>() {
            Some(header) => {
                if header[11] == 6 {
                    record.set_extra(mac(header, 12));
                }
                let device = u16::from_be_bytes([header[8], header[9]]);
                let protocol = u16::from_be_bytes([header[0], header[1]]);
                cooked(device, protocol, &frame[20..], record);
            }
            None => record.set_short(),
        },
        LinkLayer::RawIp => ip::any(frame, record),
        LinkLayer::Null => match frame.split_first_chunk::<4>() {
            Some((family, packet)) => ip_of_family(*family, packet, record),
            None => record.set_short(),
        },
        LinkLayer::Loop => match frame.split_first_chunk::<4>() {
            Some((family, packet)) => ip_of(u32::from_be_bytes(*family), packet, record),
            None => record.set_short(),
        },
        LinkLayer::Ppp => serial::framed_ppp(frame, record),
        LinkLayer::PppDirection => serial::directed_ppp(frame, record),
        LinkLayer::Pppoe => serial::pppoe(frame, record),
        LinkLayer::CiscoHdlc => serial::cisco_hdlc(frame, record),
        LinkLayer::FrameRelay => serial::frame_relay(frame, record),
        LinkLayer::Mpls => mpls(frame, record),
        LinkLayer::PppDirected | LinkLayer::CiscoHdlcDirected | LinkLayer::FrameRelayDirected => {
            lan::directed(link, frame, record);
        }
        LinkLayer::Atm => llc(frame, record),
        LinkLayer::TokenRing => lan::token_ring(frame, record),
        LinkLayer::Fddi => lan::fddi(frame, record),
        LinkLayer::FibreChannel => lan::fibre_channel(frame, record),
        LinkLayer::Firewire => lan::firewire(frame, record),
        LinkLayer::Enc => lan::enc(frame, record),
        LinkLayer::NetAnalyzer => lan::net_analyzer(frame, record),
        LinkLayer::Wifi => wifi::frame(frame, false, record),
        LinkLayer::Radiotap => wifi::radiotap(frame, record),
        LinkLayer::Prism => after(frame, Some(144), record, |rest, r| wifi::frame(rest, false, r)),
        LinkLayer::Avs => {
            let length = frame.get(4..8).and_then(|b| b.first_chunk());
            let length = length.map(|b| u32::from_be_bytes(*b) as usize);
            after(frame, length, record, |rest, r| wifi::frame(rest, false, r));
        }
        LinkLayer::Ppi => ppi(frame, record),
        LinkLayer::Nflog => nflog::message(frame, record),
        LinkLayer::Unknown => {}
    }
}

/// Reads a packet of an address family in the byte order of a machine that nothing tells;
/// families are small.
pub(super) fn ip_of_family(family: [u8; 4], packet: &[u8], record: &mut PacketRecord) {
    ip_of(u32::from_le_bytes(family).min(u32::from_be_bytes(family)), packet, record);
}

fn ip_of(family: u32, packet: &[u8], record: &mut PacketRecord) {
    match family {
        2 => ip::v4(packet, record),
        // AF_INET6 of Linux, Windows, NetBSD, FreeBSD and Darwin.
        10 | 23 | 24 | 28 | 30 => ip::v6(packet, record),
        _ => {}
    }
}

/// The hardware address at `at`, which the header reaches.
#[inline(always)]
pub(super) fn mac<const N: usize>(header: &[u8; N], at: usize) -> [u8; 6] {
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

/// The part of `data` that a length field in front of it counts, where the frame goes on
/// behind that: padding, a trailer, a frame check sequence. The record's lengths become those
/// of the frame without what is behind, until it has been read.
///
/// A length beyond the end of the frame is a defect, and `data` all there is.
pub(super) fn narrow<'a>(data: &'a [u8], length: u32, record: &mut PacketRecord) -> &'a [u8] {
    let on_wire = wire_from(data, record);
    if length > on_wire {
        record.set_defect(Defect::Malformed);
        return data;
    }
    let kept = data.get(..length as usize).unwrap_or(data);
    record.wire_len = record.wire_len.wrapping_sub(on_wire - length);
    record.captured_len -= (data.len() - kept.len()) as u32;
    kept
}

/// Linux "cooked": the protocol field is an EtherType or a Linux number below 1,536, of which
/// only 802.2 (4) can lead to IP; but some kinds of devices (ARPHRD_ numbers) have their own.
fn cooked(device: u16, protocol: u16, data: &[u8], record: &mut PacketRecord) {
    const FRAME_RELAY: u16 = 770;
    const GRE: u16 = 778;
    const RADIOTAP: u16 = 803;
    const NETLINK: u16 = 824;
    match (device, protocol) {
        (NETLINK, _) => {}
        (FRAME_RELAY, _) => serial::frame_relay(data, record),
        (RADIOTAP, _) => wifi::radiotap(data, record),
        // Of GRE: a whole frame.
        (GRE, 0x6558) => walk(LinkLayer::Ethernet, data, record),
        (_, 4) => llc(data, record),
        (_, 0..=1535) => {}
        _ => ethertype(protocol, data, record),
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
