//! Frames built by hand, byte by byte, so that each test shows its layout.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod frames;
mod links;
mod network;
mod random;

use super::{LinkLayer, PacketRecord, decode};

/// Decodes a frame that was captured whole.
fn whole(link: LinkLayer, frame: &[u8]) -> PacketRecord {
    of_wire_length(link, frame, frame.len() as u32)
}

/// Decodes a frame that the capture may have cut.
fn of_wire_length(link: LinkLayer, frame: &[u8], wire_len: u32) -> PacketRecord {
    let mut record = PacketRecord::default();
    decode(link, frame, wire_len, 7, &mut record);
    record
}
