//! Links between two ends: PPP (also in PPPoE), Cisco HDLC, frame relay.

use super::link::narrow;
use super::tags::{ethertype, mpls};
use super::{PacketRecord, ip};

/// PPP, with or without HDLC framing.
pub(super) fn framed_ppp(frame: &[u8], record: &mut PacketRecord) {
    match frame {
        [0xff, 0x03, rest @ ..] => ppp(rest, record),
        // Cisco HDLC in a PPP capture: unicast or multicast.
        [0x0f | 0x8f, 0x00, _, _, ..] => cisco_hdlc(frame, record),
        _ => ppp(frame, record),
    }
}

/// PPP as pppd writes it, a direction byte in place of the address.
pub(super) fn directed_ppp(frame: &[u8], record: &mut PacketRecord) {
    match frame {
        [0x00 | 0x01, 0x03, rest @ ..] | [0xff, 0x03, rest @ ..] => ppp(rest, record),
        _ => ppp(frame, record),
    }
}

/// PPPoE (RFC 2516, section 4): 6 bytes, of which the last two are the length of what follows,
/// then PPP. Short frames of Ethernet are padded behind it.
pub(super) fn pppoe(data: &[u8], record: &mut PacketRecord) {
    match data {
        [_, _, _, _, high, low, rest @ ..] => {
            let length = u32::from(u16::from_be_bytes([*high, *low]));
            ppp(narrow(rest, length, record), record);
        }
        _ => record.set_short(),
    }
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

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(frame: &[u8], record: &mut PacketRecord) {
    match frame {
        [_, _, high, low, rest @ ..] => {
            ethertype(u16::from_be_bytes([*high, *low]), rest, record);
        }
        _ => record.set_short(),
    }
}

/// Frame relay (RFC 2427): an address of 2 to 4 bytes, a control byte, then an NLPID.
pub(super) fn frame_relay(frame: &[u8], record: &mut PacketRecord) {
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
