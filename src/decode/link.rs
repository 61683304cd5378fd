//! From the first byte of a frame to its outermost IPv4, IPv6 or ARP header: [`walk`] runs per
//! frame and calls the reader of its link layer.

use super::layer::{ETHERTYPE_IPV4, LinkLayer, after, mac};
use super::tags::{ethertype, llc};
use super::{Defect, PacketRecord, ip, lan, mpls, nflog, ppp, serial, wifi};

/// Reads a frame's link layer and what follows into `record`.
#[inline(always)]
pub(super) fn walk(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    match link {
        LinkLayer::Ethernet => match frame.first_chunk::<14>() {
            Some(header) => {
                record.set_extra(mac(header, 6));
                let (kind, rest) = (u16::from_be_bytes([header[12], header[13]]), &frame[14..]);
                // Most frames by far: keep them off the long way.
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
            Some((family, packet)) => ip::of_family(*family, packet, record),
            None => record.set_short(),
        },
        LinkLayer::Loop => match frame.split_first_chunk::<4>() {
            Some((family, packet)) => ip::of(u32::from_be_bytes(*family), packet, record),
            None => record.set_short(),
        },
        LinkLayer::Ppp => serial::framed_ppp(frame, record),
        LinkLayer::PppDirection => serial::directed_ppp(frame, record),
        LinkLayer::Pppoe => ppp::pppoe(frame, record),
        LinkLayer::CiscoHdlc => serial::cisco_hdlc(frame, record),
        LinkLayer::FrameRelay => serial::frame_relay(frame, record),
        LinkLayer::Mpls => mpls::stack(frame, record),
        LinkLayer::PppDirected | LinkLayer::CiscoHdlcDirected | LinkLayer::FrameRelayDirected => {
            lan::directed(link, frame, record);
        }
        LinkLayer::Atm => llc(frame, record),
        LinkLayer::TokenRing => lan::token_ring(frame, record),
        LinkLayer::Fddi => lan::fddi(frame, record),
        LinkLayer::FibreChannel => lan::fibre_channel(frame, record),
        LinkLayer::Firewire => lan::firewire(frame, record),
        LinkLayer::Enc => lan::enc(frame, record),
        // Ethernet behind netANALYZER's header.
        LinkLayer::NetAnalyzer => {
            after(frame, Some(4), record, |rest, r| walk(LinkLayer::Ethernet, rest, r));
        }
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

/// Linux "cooked": the protocol field is an EtherType, or a Linux number below 1,536, of which only
/// 802.2 (4) can lead to IP. Some kinds of devices (ARPHRD_ numbers) have protocols of their own.
fn cooked(device: u16, protocol: u16, data: &[u8], record: &mut PacketRecord) {
    const FRAME_RELAY: u16 = 770;
    const GRE: u16 = 778;
    const RADIOTAP: u16 = 803;
    const NETLINK: u16 = 824;
    match (device, protocol) {
        (NETLINK, _) => {}
        (FRAME_RELAY, _) => serial::frame_relay(data, record),
        (RADIOTAP, _) => wifi::radiotap(data, record),
        // GRE with a whole frame.
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
    // A header of no length that names itself again would never end.
    if length < 8 || inner == LinkLayer::Ppi {
        return record.set_defect(Defect::Malformed);
    }
    after(frame, Some(length), record, |rest, record| walk(inner, rest, record));
}
