//! Local networks other than Ethernet, and headers that some devices put in front of frames.

use super::layer::{LinkLayer, after, mac};
use super::tags::{ethertype, llc};
use super::{Defect, PacketRecord, ip, serial};

/// Token ring (IEEE 802.5): access control, frame control, both addresses; then a route, where
/// the first bit of the source says so, and LLC.
pub(super) fn token_ring(frame: &[u8], record: &mut PacketRecord) {
    let Some(header) = frame.first_chunk::<14>() else {
        return record.set_short();
    };
    let mut source = mac(header, 8);
    let is_routed = source[0] & 0x80 != 0;
    source[0] &= 0x7f;
    record.set_extra(source);
    let is_llc = header[1] >> 6 == 1;
    if !is_llc {
        return;
    }
    let route = match frame.get(14) {
        _ if !is_routed => 0,
        Some(control) if control & 0x1f < 2 => return record.set_defect(Defect::Malformed),
        Some(control) => usize::from(control & 0x1f),
        None => return record.set_short(),
    };
    after(frame, Some(14 + route), record, llc);
}

/// FDDI (ANSI X3.139): frame control, both addresses, LLC.
pub(super) fn fddi(frame: &[u8], record: &mut PacketRecord) {
    let Some(header) = frame.first_chunk::<13>() else {
        return record.set_short();
    };
    record.set_extra(mac(header, 7));
    let is_llc = header[0] & 0x70 == 0x50;
    if is_llc {
        llc(&frame[13..], record);
    }
}

/// IP over Fibre Channel (RFC 2625, section 3): both network addresses, LLC.
pub(super) fn fibre_channel(frame: &[u8], record: &mut PacketRecord) {
    let Some(header) = frame.first_chunk::<16>() else {
        return record.set_short();
    };
    let is_mac = header[8] >> 4 == 1;
    if is_mac {
        record.set_extra(mac(header, 10));
    }
    llc(&frame[16..], record);
}

/// IP over FireWire as Apple writes it: both addresses of 8 bytes, EtherType.
pub(super) fn firewire(frame: &[u8], record: &mut PacketRecord) {
    match frame.split_first_chunk::<18>() {
        Some((&[.., high, low], rest)) => {
            ethertype(u16::from_be_bytes([high, low]), rest, record);
        }
        None => record.set_short(),
    }
}

/// IPsec as OpenBSD's enc(4) shows it: family, security parameter index, flags.
pub(super) fn enc(frame: &[u8], record: &mut PacketRecord) {
    match frame.split_first_chunk::<12>() {
        Some((&[a, b, c, d, ..], packet)) => ip::of_family([a, b, c, d], packet, record),
        None => record.set_short(),
    }
}

/// A frame of a serial link behind a byte for its direction.
pub(super) fn directed(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    after(frame, Some(1), record, |rest, record| match link {
        LinkLayer::FrameRelayDirected => serial::frame_relay(rest, record),
        LinkLayer::CiscoHdlcDirected => serial::cisco_hdlc(rest, record),
        _ => serial::framed_ppp(rest, record),
    });
}
