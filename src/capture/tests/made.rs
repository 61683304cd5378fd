//! Makes capture files, byte by byte.

use crate::decode::tests::frames::cat;

/// A classic capture file of this link type with these frames, one a second.
pub fn classic(link_type: u32, frames: &[&[u8]]) -> Vec<u8> {
    let numbers = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link_type].map(u32::to_le_bytes);
    let mut file = numbers.as_flattened().to_vec();
    for (second, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        file.extend([second as u32 + 1, 0, length, length].map(u32::to_le_bytes).as_flattened());
        file.extend(*frame);
    }
    file
}

/// A pcapng file in the making, in one byte order.
#[derive(Clone)]
pub struct PcapNg {
    is_big: bool,
    pub bytes: Vec<u8>,
}

impl PcapNg {
    /// Begins with a section header.
    pub fn new(is_big: bool) -> PcapNg {
        PcapNg { is_big, bytes: Vec::new() }.section()
    }

    fn numbers<const N: usize>(&self, numbers: [u32; N]) -> Vec<u8> {
        let order = if self.is_big { u32::to_be_bytes } else { u32::to_le_bytes };
        numbers.map(order).as_flattened().to_vec()
    }

    fn shorts<const N: usize>(&self, numbers: [u16; N]) -> Vec<u8> {
        let order = if self.is_big { u16::to_be_bytes } else { u16::to_le_bytes };
        numbers.map(order).as_flattened().to_vec()
    }

    /// Any block.
    pub fn block(mut self, kind: u32, body: &[u8]) -> PcapNg {
        let length = 12 + body.len().next_multiple_of(4) as u32;
        self.bytes.extend(self.numbers([kind, length]));
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend(self.numbers([length]));
        self
    }

    pub fn section(self) -> PcapNg {
        let body = cat(&[
            &self.numbers([0x1a2b_3c4d]),
            &self.shorts([1, 0]),
            &self.numbers([u32::MAX, u32::MAX]),
        ]);
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface whose times are in microseconds.
    pub fn interface(self, link_type: u16, snap_length: u32) -> PcapNg {
        let body = cat(&[&self.shorts([link_type, 0]), &self.numbers([snap_length])]);
        self.block(1, &body)
    }

    /// An interface whose times are in nanoseconds.
    pub fn fine_interface(self, link_type: u16, snap_length: u32) -> PcapNg {
        let body = cat(&[
            &self.shorts([link_type, 0]),
            &self.numbers([snap_length]),
            &self.shorts([9, 1]),
            &[9, 0, 0, 0],
            &self.shorts([0, 0]),
        ]);
        self.block(1, &body)
    }

    /// An enhanced packet block at that time (in the units of its interface), with a comment.
    pub fn packet(self, interface: u32, time: u64, frame: &[u8], wire_len: u32) -> PcapNg {
        let (upper, lower) = ((time >> 32) as u32, time as u32);
        let length = frame.len() as u32;
        let padding = vec![0; frame.len().next_multiple_of(4) - frame.len()];
        let body = cat(&[
            &self.numbers([interface, upper, lower, length, wire_len]),
            frame,
            &padding,
            &self.shorts([1, 3]),
            b"hi!\0",
            &self.shorts([0, 0]),
        ]);
        self.block(6, &body)
    }

    /// A packet block of old files.
    pub fn old_packet(self, interface: u16, time: u64, frame: &[u8], wire_len: u32) -> PcapNg {
        let (upper, lower) = ((time >> 32) as u32, time as u32);
        let length = frame.len() as u32;
        let body = cat(&[
            &self.shorts([interface, 7]),
            &self.numbers([upper, lower, length, wire_len]),
            frame,
        ]);
        self.block(2, &body)
    }

    /// A simple packet block: no time, no interface, the frame cut at the snap length.
    pub fn simple_packet(self, frame: &[u8], wire_len: u32) -> PcapNg {
        let body = cat(&[&self.numbers([wire_len]), frame]);
        self.block(3, &body)
    }
}
