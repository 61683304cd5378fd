//! Linux netfilter log messages (DLT_NFLOG; `linux/netfilter/nfnetlink_log.h`): a header whose
//! first byte is the address family, then attributes of length, type and value.

use super::tags::ethertype;
use super::{Defect, PacketRecord, ip};

/// Attribute: the EtherType of the packet, in network byte order, and the hook.
const PACKET_HEADER: u16 = 1;
/// Attribute: the sender's hardware address: its length, padding, 8 bytes.
const HARDWARE_ADDRESS: u16 = 8;
/// Attribute: the packet, from its network header on.
const PAYLOAD: u16 = 9;
/// The other bits of the type are netlink flags.
const TYPE: u16 = 0x3fff;

/// Families (`linux/socket.h`).
const INET: u8 = 2;
const INET6: u8 = 10;

/// Reads a message up to its packet.
pub(super) fn message(frame: &[u8], record: &mut PacketRecord) {
    let Some(mut rest) = frame.get(4..) else {
        return record.set_short();
    };
    let number = byte_order(rest);
    let mut kind = None;
    while let Some(&[a, b, c, d]) = rest.first_chunk::<4>() {
        let length = usize::from(number([a, b]));
        if length < 4 {
            return record.set_defect(Defect::Malformed);
        }
        let value = &rest[4..length.min(rest.len()).max(4)];
        match number([c, d]) & TYPE {
            PACKET_HEADER => {
                kind = value.first_chunk().map(|kind| u16::from_be_bytes(*kind));
            }
            HARDWARE_ADDRESS => {
                if let [0, 6, _, _, address @ ..] = value
                    && let Some(address) = address.first_chunk()
                {
                    record.set_extra(*address);
                }
            }
            PAYLOAD => {
                return match (frame[0], kind) {
                    (INET, _) => ip::v4(value, record),
                    (INET6, _) => ip::v6(value, record),
                    // Bridge, ARP, device: only the packet header gives its type.
                    (_, Some(kind)) => ethertype(kind, value, record),
                    (_, None) => {}
                };
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    if record.captured_len < record.wire_len {
        record.set_short();
    }
}

/// Reads lengths and types in the byte order of the capturing machine, which nothing states. Types
/// are small; read in the wrong order, the first one is not.
fn byte_order(attributes: &[u8]) -> fn([u8; 2]) -> u16 {
    match attributes.get(2..4) {
        Some(&[high, low]) if u16::from_le_bytes([high, low]) & TYPE > 0xff => u16::from_be_bytes,
        _ => u16::from_le_bytes,
    }
}
