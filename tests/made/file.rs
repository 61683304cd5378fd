//! Writers of capture files: all kinds of pcap (IETF draft-ietf-opsawg-pcap), and pcapng
//! (draft-ietf-opsawg-pcapng), in either byte order.

use super::truth::Frame;

/// The byte order of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if self == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self == Order::Little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn words(self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|&word| self.u32(word)).collect()
    }
}

/// The variant of a pcap file.
#[derive(Clone, Copy, Debug)]
pub struct Pcap {
    /// Its byte order.
    pub order: Order,
    /// Nanoseconds, not microseconds.
    pub nano: bool,
    /// The snap length in its header.
    pub snap: u32,
}

impl Pcap {
    /// The variant that tcpdump writes on most machines.
    pub const USUAL: Pcap = Pcap { order: Order::Little, nano: false, snap: 262_144 };

    /// A file of this link type. Frames without a time get time 0.
    pub fn file(self, link_type: u32, frames: &[Frame]) -> Vec<u8> {
        let magic = if self.nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut out = self.order.words(&[magic]);
        out.extend(self.order.u16(2));
        out.extend(self.order.u16(4));
        out.extend(self.order.words(&[0, 0, self.snap, link_type]));
        for frame in frames {
            out.extend(self.record(frame));
        }
        out
    }

    /// One record: its header and the bytes.
    pub fn record(self, frame: &Frame) -> Vec<u8> {
        let time = frame.time.unwrap_or(0);
        let (second, rest) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000));
        let fraction = if self.nano { rest } else { rest / 1_000 };
        let captured = frame.bytes.len() as u32;
        let mut out = self.order.words(&[second as u32, fraction as u32, captured, frame.wire]);
        out.extend(&frame.bytes);
        out
    }
}

/// A pcapng file that is being written.
pub struct Pcapng {
    order: Order,
    /// The bytes written so far.
    pub bytes: Vec<u8>,
}

/// Block types.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const ENHANCED: u32 = 6;

impl Pcapng {
    /// An empty file: a section header, with a comment.
    pub fn new(order: Order) -> Pcapng {
        let mut file = Pcapng { order, bytes: Vec::new() };
        file.section();
        file
    }

    /// Another section, in which interface numbers start over.
    pub fn section(&mut self) {
        let mut body = self.order.words(&[0x1a2b_3c4d]);
        body.extend(self.order.u16(1));
        body.extend(self.order.u16(0));
        body.extend([0xff; 8]);
        body.extend(self.option(1, b"made for a test"));
        body.extend(self.option(0, &[]));
        self.block(SECTION, &body);
    }

    /// An interface; `resolution` is the negative power of ten of its times, 6 if `None`.
    pub fn interface(&mut self, link_type: u16, snap: u32, resolution: Option<u8>) {
        let mut body = self.order.u16(link_type).to_vec();
        body.extend(self.order.u16(0));
        body.extend(self.order.words(&[snap]));
        body.extend(self.option(2, b"eth0"));
        if let Some(resolution) = resolution {
            body.extend(self.option(9, &[resolution]));
        }
        body.extend(self.option(0, &[]));
        self.block(INTERFACE, &body);
    }

    /// A frame of an interface, its time in units of 10^-`resolution` seconds.
    pub fn enhanced(&mut self, interface: u32, resolution: u8, frame: &Frame) {
        let unit = 10_i64.pow(9 - u32::from(resolution));
        let time = frame.time.unwrap_or(0) / unit;
        let captured = frame.bytes.len() as u32;
        let [high, low] = [(time >> 32) as u32, time as u32];
        let mut body = self.order.words(&[interface, high, low, captured, frame.wire]);
        body.extend(padded(&frame.bytes));
        body.extend(self.option(2, &self.order.u32(1)));
        body.extend(self.option(0, &[]));
        self.block(ENHANCED, &body);
    }

    /// A frame without a time.
    pub fn simple(&mut self, frame: &Frame) {
        let mut body = self.order.words(&[frame.wire]);
        body.extend(padded(&frame.bytes));
        self.block(SIMPLE, &body);
    }

    /// Blocks without frames: host names, an interface's statistics, and one of an unknown type.
    pub fn other_blocks(&mut self) {
        let mut names = self.order.u16(1).to_vec();
        names.extend(self.order.u16(9));
        names.extend(padded(b"\xc0\x00\x02\x01host\0"));
        names.extend([0; 4]);
        self.block(NAMES, &names);
        let statistics = self.order.words(&[0, 0, 0]);
        self.block(STATISTICS, &statistics);
        self.block(0x0bad_cafe, &[1, 2, 3, 4]);
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let head = [self.order.u16(code), self.order.u16(value.len() as u16)].concat();
        [head, padded(value)].concat()
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = 12 + body.len() as u32;
        self.bytes.extend(self.order.words(&[kind, length]));
        self.bytes.extend(body);
        self.bytes.extend(self.order.u32(length));
    }
}

/// Bytes, padded to a multiple of four.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(4), 0);
    out
}
