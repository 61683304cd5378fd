//! IEEE 802.11 data frames, and the radiotap header in front of them.
//!
//! Encrypted frames, A-MSDUs and everything that is not data count as frames and bytes
//! of the interface, without a host: there is nothing to read in them.

use super::layer::after;
use super::tags::llc;
use super::{Defect, PacketRecord};

/// Frame control bits (IEEE 802.11-2020, 9.2.4.1), the field read as little-endian.
const TO_DS: u16 = 0x0100;
const FROM_DS: u16 = 0x0200;
const PROTECTED: u16 = 0x4000;
const ORDER: u16 = 0x8000;

/// Radiotap flags (<https://www.radiotap.org/fields/Flags.html>).
const DATA_PAD: u8 = 0x20;

/// Reads an 802.11 frame; `padded` says that the header is padded to 4 bytes.
pub(super) fn frame(data: &[u8], padded: bool, record: &mut PacketRecord) {
    let Some(&[low, high]) = data.first_chunk::<2>() else {
        return record.set_short();
    };
    let control = u16::from_le_bytes([low, high]);
    let (kind, subtype) = ((control >> 2) & 3, (control >> 4) & 15);
    let no_data = subtype & 4 != 0;
    if kind != 2 || no_data {
        return;
    }
    let both = control & (TO_DS | FROM_DS);
    let mut length = if both == TO_DS | FROM_DS { 30 } else { 24 };
    // The distribution-system bits say where the source address is (table 9-30).
    let source = match both {
        0 | TO_DS => 10,
        FROM_DS => 16,
        _ => 24,
    };
    if let Some(mac) = data.get(source..).and_then(|rest| rest.first_chunk()) {
        record.set_extra(*mac);
    }
    let mut qos = [0; 2];
    if subtype & 8 != 0 {
        let Some(field) = data.get(length..).and_then(|rest| rest.first_chunk()) else {
            return record.set_short();
        };
        qos = *field;
        length += if control & ORDER != 0 { 6 } else { 2 };
        let aggregated = qos[0] & 0x80 != 0;
        if aggregated {
            return;
        }
    }
    if control & PROTECTED != 0 {
        return;
    }
    if padded {
        length = usize::next_multiple_of(length, 4);
    }
    // Mesh stations set a bit that means something else in other networks. They send to one station
    // (four addresses) or to all (from the distribution system).
    let may_be_mesh = both & FROM_DS != 0 && qos[1] & 1 != 0;
    after(data, Some(length), record, |rest, record| {
        if may_be_mesh { mesh(rest, record) } else { llc(rest, record) }
    });
}

/// A mesh control field (IEEE 802.11-2020, 9.2.4.7.3), if it is one: flags, time to live, sequence
/// (4 bytes), and addresses of stations outside the mesh. A frame to all has one, the sender's; a
/// frame to one station has two, the sender's last.
fn mesh(data: &[u8], record: &mut PacketRecord) {
    let Some(flags) = data.first() else {
        return record.set_short();
    };
    let (length, sender) = match flags {
        0 => (6, None),
        1 => (12, Some(6)),
        2 => (18, Some(12)),
        // Reserved, so this is the first byte of LLC.
        _ => return llc(data, record),
    };
    if let Some(sender) = sender
        && let Some(mac) = data.get(sender..).and_then(|rest| rest.first_chunk())
    {
        record.set_extra(*mac);
    }
    after(data, Some(length), record, llc);
}

/// Passes a radiotap header (<https://www.radiotap.org>): version, padding, little-endian length,
/// presence words. Of its fields, only the flags matter here.
pub(super) fn radiotap(data: &[u8], record: &mut PacketRecord) {
    let word = |at: usize| -> Option<u32> {
        data.get(at..at + 4)?.first_chunk().map(|b| u32::from_le_bytes(*b))
    };
    let (Some(first), Some(length)) = (word(0), word(4)) else {
        return record.set_short();
    };
    let (present, length) = (length, (first >> 16) as usize);
    if length < 8 {
        return record.set_defect(Defect::Malformed);
    }
    let mut at = 8;
    let mut more = present;
    while more >> 31 != 0 {
        let Some(next) = word(at) else {
            return record.set_short();
        };
        (more, at) = (next, at + 4);
    }
    // Field 0 is a 64-bit timer, aligned to 8; field 1 is the flags byte.
    if present & 1 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = if present & 2 != 0 { data.get(at).copied().unwrap_or(0) } else { 0 };
    after(data, Some(length), record, |rest, r| frame(rest, flags & DATA_PAD != 0, r));
}
