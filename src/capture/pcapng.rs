//! Rewrites pcapng files for libpcap, which then reads them to the end.
//!
//! libpcap gives up at an interface whose link type or snap length differs from the first one's;
//! merged files, and captures on "any", have such. So every interface gets the link type
//! [`CARRIER`] and no snap length, and every frame a [`Prefix`] that says what it is. libpcap still
//! judges what is sound: an unsound block, and all that is behind it, passes unchanged. The thread
//! that feeds libpcap's pipe runs this.
//!
//! Format: draft-ietf-opsawg-pcapng, sections 4.1 to 4.5.

use std::io::{self, ErrorKind, Read, Write};

/// LINKTYPE_USER0: programs use it only with a meaning of their own.
const CARRIER: u16 = 147;
/// Bytes of a frame that are passed on, with its prefix: libpcap's limit for this link type.
/// Headers do not reach so far.
const LONGEST: u32 = 262_144;
/// A longer block is damage: libpcap's limit.
const LONGEST_BLOCK: u32 = 16 << 20;
/// More interfaces are an attack on our memory.
const MOST_INTERFACES: usize = 65_536;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// In files from before [`ENHANCED_PACKET`].
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Whether a file that begins so is pcapng.
pub(super) fn is_pcapng(start: &[u8]) -> bool {
    start.starts_with(&SECTION.to_be_bytes())
}

/// The header in front of each frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prefix {
    /// The link type of the frame's interface (a LINKTYPE_ number).
    pub link_type: u16,
    /// Whether the block has a time.
    pub has_time: bool,
    /// Bytes of the frame that the file holds.
    pub captured_len: u32,
    /// Bytes of the frame on the wire.
    pub wire_len: u32,
}

impl Prefix {
    const LENGTH: u32 = 12;

    fn to_bytes(self) -> [u8; Prefix::LENGTH as usize] {
        let [a, b] = self.link_type.to_le_bytes();
        let [c, d, e, f] = self.captured_len.to_le_bytes();
        let [g, h, i, j] = self.wire_len.to_le_bytes();
        [a, b, u8::from(self.has_time), 0, c, d, e, f, g, h, i, j]
    }

    /// Splits a packet from libpcap into its prefix and its frame.
    #[inline]
    pub(super) fn split(packet: &[u8]) -> Option<(Prefix, &[u8])> {
        let (&[a, b, time, _, c, d, e, f, g, h, i, j], frame) = packet.split_first_chunk()?;
        let prefix = Prefix {
            link_type: u16::from_le_bytes([a, b]),
            has_time: time != 0,
            captured_len: u32::from_le_bytes([c, d, e, f]),
            wire_len: u32::from_le_bytes([g, h, i, j]),
        };
        Some((prefix, frame))
    }
}

/// Link types, each once, in the order in which they came. Adding one takes the same time however
/// many there are.
#[derive(Default)]
pub(super) struct LinkTypes {
    order: Vec<u16>,
    /// Whether each is there; empty at first.
    known: Vec<bool>,
}

impl LinkTypes {
    /// Adds a link type, if it is not there.
    pub(super) fn add(&mut self, link_type: u16) {
        self.known.resize(1 << 16, false);
        if !std::mem::replace(&mut self.known[usize::from(link_type)], true) {
            self.order.push(link_type);
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[u16] {
        &self.order
    }
}

/// The byte order of a section.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn number(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }

    fn short(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    fn bytes(self, number: u32) -> [u8; 4] {
        match self {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }

    fn short_bytes(self, number: u16) -> [u8; 2] {
        match self {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }
}

#[derive(Clone, Copy)]
struct Interface {
    link_type: u16,
    snap_length: u32,
}

/// A packet block without its data.
struct Packet {
    interface: u32,
    /// Upper and lower half, in the units of the interface.
    time: Option<[u32; 2]>,
    captured_len: u32,
    wire_len: u32,
    /// Bytes of the block between the data and the length at its end.
    behind: u32,
}

/// Rewrites a file. Calls `note` with the link type of each interface.
///
/// # Errors
/// The input cannot be read, or names too many interfaces; the output cannot be written. Damage
/// is no error here.
pub(super) fn level(
    input: &mut impl Read,
    output: &mut impl Write,
    note: impl FnMut(u16),
) -> io::Result<()> {
    Leveller { input, output, note, order: Order::Little, interfaces: Vec::new() }.run()
}

struct Leveller<'a, I, O, N> {
    input: &'a mut I,
    output: &'a mut O,
    note: N,
    order: Order,
    /// Of the current section.
    interfaces: Vec<Interface>,
}

impl<I: Read, O: Write, N: FnMut(u16)> Leveller<'_, I, O, N> {
    fn run(&mut self) -> io::Result<()> {
        while self.block()? {}
        // Damage, or no more.
        io::copy(self.input, self.output)?;
        Ok(())
    }

    /// Reads `N2` bytes. If there are fewer, writes `known` and these.
    fn fill<const N2: usize>(&mut self, known: &[u8]) -> io::Result<Option<[u8; N2]>> {
        let mut bytes = Vec::with_capacity(N2);
        self.input.by_ref().take(N2 as u64).read_to_end(&mut bytes)?;
        match bytes.first_chunk() {
            Some(all) => Ok(Some(*all)),
            None => {
                self.output.write_all(known)?;
                self.output.write_all(&bytes)?;
                Ok(None)
            }
        }
    }

    /// Copies bytes. Returns whether there were so many.
    fn copy(&mut self, length: u32) -> io::Result<bool> {
        let length = u64::from(length);
        Ok(io::copy(&mut self.input.by_ref().take(length), self.output)? == length)
    }

    /// Skips bytes. Returns whether there were so many.
    fn skip(&mut self, length: u32) -> io::Result<bool> {
        let length = u64::from(length);
        Ok(io::copy(&mut self.input.by_ref().take(length), &mut io::sink())? == length)
    }

    /// Rewrites one block. `false`: the rest passes unchanged.
    fn block(&mut self) -> io::Result<bool> {
        let Some(head) = self.fill::<8>(&[])? else {
            return Ok(false);
        };
        let [a, b, c, d, lengths @ ..] = head;
        if u32::from_be_bytes([a, b, c, d]) == SECTION {
            return self.section(head);
        }
        let (kind, length) = (self.order.number([a, b, c, d]), self.order.number(lengths));
        if !(12..=LONGEST_BLOCK).contains(&length) || !length.is_multiple_of(4) {
            self.output.write_all(&head)?;
            return Ok(false);
        }
        match kind {
            INTERFACE if length >= 20 => self.interface(head, length),
            ENHANCED_PACKET | PACKET if length >= 32 => {
                let Some(fields) = self.fill::<20>(&head)? else {
                    return Ok(false);
                };
                let packet = self.packet(kind, fields, length - 32);
                self.frame(head, &fields, packet, length)
            }
            SIMPLE_PACKET if length >= 16 => {
                let Some(fields) = self.fill::<4>(&head)? else {
                    return Ok(false);
                };
                let packet = self.simple_packet(fields, length - 16);
                self.frame(head, &fields, packet, length)
            }
            _ => {
                self.output.write_all(&head)?;
                self.copy(length - 8)
            }
        }
    }

    /// A section header: sets the byte order, forgets the interfaces.
    fn section(&mut self, head: [u8; 8]) -> io::Result<bool> {
        let Some(magic) = self.fill::<4>(&head)? else {
            return Ok(false);
        };
        self.output.write_all(&head)?;
        self.output.write_all(&magic)?;
        self.order = match magic {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            _ => return Ok(false),
        };
        self.interfaces.clear();
        let [_, _, _, _, length @ ..] = head;
        let length = self.order.number(length);
        let is_sound = (28..=LONGEST_BLOCK).contains(&length) && length.is_multiple_of(4);
        Ok(is_sound && self.copy(length - 12)?)
    }

    fn interface(&mut self, head: [u8; 8], length: u32) -> io::Result<bool> {
        let Some([a, b, c, d, snap @ ..]) = self.fill::<8>(&head)? else {
            return Ok(false);
        };
        if self.interfaces.len() == MOST_INTERFACES {
            let text = format!("it names more than {MOST_INTERFACES} interfaces");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        let link_type = self.order.short([a, b]);
        self.interfaces.push(Interface { link_type, snap_length: self.order.number(snap) });
        (self.note)(link_type);
        self.output.write_all(&head)?;
        self.output.write_all(&self.order.short_bytes(CARRIER))?;
        // 0 is no limit.
        self.output.write_all(&[c, d, 0, 0, 0, 0])?;
        self.copy(length - 16)
    }

    /// Reads the fields of a packet block with `room` bytes for data and options.
    fn packet(&self, kind: u32, fields: [u8; 20], room: u32) -> Option<Packet> {
        let mut numbers = fields.as_chunks::<4>().0.iter().map(|bytes| self.order.number(*bytes));
        let mut next = || numbers.next().unwrap_or(0);
        let first = next();
        let interface = match kind {
            ENHANCED_PACKET => first,
            // A count of drops follows.
            _ => u32::from(self.order.short([fields[0], fields[1]])),
        };
        let time = Some([next(), next()]);
        let (captured_len, wire_len) = (next(), next());
        let behind = room.checked_sub(captured_len)?;
        Some(Packet { interface, time, captured_len, wire_len, behind })
    }

    /// The same for a simple packet block: of the first interface, cut at its snap length.
    fn simple_packet(&self, fields: [u8; 4], room: u32) -> Option<Packet> {
        let wire_len = self.order.number(fields);
        let captured_len = match self.interfaces.first()?.snap_length {
            0 => wire_len,
            snap_length => wire_len.min(snap_length),
        };
        let behind = room.checked_sub(captured_len)?;
        Some(Packet { interface: 0, time: None, captured_len, wire_len, behind })
    }

    /// Writes a packet with its prefix, without its options. If the block is not sound, writes
    /// `head` and `fields`, which were read already.
    fn frame(
        &mut self,
        head: [u8; 8],
        fields: &[u8],
        packet: Option<Packet>,
        length: u32,
    ) -> io::Result<bool> {
        let known = packet.and_then(|packet| {
            let interface = self.interfaces.get(packet.interface as usize)?;
            Some((packet, interface.link_type))
        });
        let Some((packet, link_type)) = known else {
            self.output.write_all(&head)?;
            self.output.write_all(fields)?;
            return Ok(false);
        };
        let kept = packet.captured_len.min(LONGEST - Prefix::LENGTH);
        let with_prefix = Prefix::LENGTH + kept;
        let padded = with_prefix.next_multiple_of(4);
        let new_length = 32 + padded;
        let prefix = Prefix {
            link_type,
            has_time: packet.time.is_some(),
            captured_len: packet.captured_len,
            wire_len: packet.wire_len,
        };
        let [upper, lower] = packet.time.unwrap_or_default();
        let wire_len = packet.wire_len.max(with_prefix);
        let numbers =
            [ENHANCED_PACKET, new_length, packet.interface, upper, lower, with_prefix, wire_len];
        let numbers = numbers.map(|number| self.order.bytes(number));
        self.output.write_all(numbers.as_flattened())?;
        self.output.write_all(&prefix.to_bytes())?;
        if !self.copy(kept)? {
            return Ok(false);
        }
        let padding = [0; 3];
        self.output.write_all(&padding[..(padded - with_prefix) as usize])?;
        if !self.skip(packet.captured_len - kept + packet.behind)? {
            return Ok(false);
        }
        let Some(end) = self.fill::<4>(&[])? else {
            return Ok(false);
        };
        // If the length at the end is wrong, it stays wrong by as much.
        let difference = self.order.number(end).wrapping_sub(length);
        let end = self.order.bytes(new_length.wrapping_add(difference));
        self.output.write_all(&end)?;
        Ok(true)
    }
}
