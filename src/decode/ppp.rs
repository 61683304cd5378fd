//! PPP and PPP over Ethernet, from the protocol field on.

use super::layer::narrow;
use super::{PacketRecord, ip, mpls};

/// PPPoE (RFC 2516, section 4): 6 bytes, the last two of which are the length of the rest, then
/// PPP. Short Ethernet frames are padded behind it.
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
pub(super) fn ppp(data: &[u8], record: &mut PacketRecord) {
    let (protocol, rest) = match data {
        [one, rest @ ..] if one & 1 != 0 => (u16::from(*one), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return record.set_short(),
    };
    match protocol {
        0x0021 => ip::v4(rest, record),
        0x0057 => ip::v6(rest, record),
        0x0281 | 0x0283 => mpls::stack(rest, record),
        _ => {}
    }
}
