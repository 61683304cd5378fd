//! Point-to-point links: PPP as it is on a wire, Cisco HDLC, frame relay.

use super::ppp::ppp;
use super::tags::ethertype;
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
