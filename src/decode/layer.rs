//! The link layers by name, and what their readers share.
//!
//! One [`LinkLayer`] per capture handle. Numbers are libpcap's DLT values
//! (<https://www.tcpdump.org/linktypes.html>).

use super::{Defect, PacketRecord, wire_from};

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
    /// Anything else: frames and bytes are counted, nothing is decoded.
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

/// The hardware address at `at`, which lies in the header.
#[inline(always)]
pub(super) fn mac<const N: usize>(header: &[u8; N], at: usize) -> [u8; 6] {
    std::array::from_fn(|i| header[at + i])
}

/// Skips a header of known length, or marks the frame as short.
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

/// The part of `data` that a length field in front of it covers. Padding, a trailer or a frame
/// check sequence may follow. The record's lengths leave these out, too, until the frame has been
/// read.
///
/// A length beyond the end of the frame is a defect; then this returns all of `data`.
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
