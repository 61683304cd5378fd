//! Frame in, packet record out.
//!
//! [`decode`] runs on the capture threads, once per frame. It is a pure function: no
//! allocation, no lock, no I/O, no panic, whatever the bytes are.
//!
//! Theory of operation: [`link`] walks the link layer until it meets the outermost IPv4, IPv6 or
//! ARP header. [`tags`], [`ppp`] and [`mpls`] read the VLAN tags, MPLS labels, PPPoE and LLC/SNAP
//! headers that count as link layer. [`ip`] reads the IP header and, behind it, just enough of TCP,
//! UDP, SCTP and ICMP. The rest is payload: the inner packet of a tunnel is not counted as a packet
//! of its own. Only the headers that are needed are sliced: slicing whole packets costs about 440
//! instructions each, measured on etherparse 0.2x. [`fast_path`] is a short cut for the usual
//! frame.

mod addr;
mod fast_path;
mod ip;
mod lan;
pub mod layer;
mod link;
mod mpls;
mod nflog;
mod ppp;
mod record;
mod serial;
mod tags;
mod wifi;

pub use addr::{Addr, Mac};
pub use layer::LinkLayer;
pub use record::{Defect, Fragment, NO_TIME, Network, PacketRecord, protocol};

/// Decodes one frame into `record`, whatever that held before.
///
/// `frame` holds the captured bytes, `wire_len` is its length on the wire in bytes, `timestamp` is
/// in nanoseconds since 1970 UTC (or [`NO_TIME`]). If the bytes are wrong, [`PacketRecord::defect`]
/// says so, and the record holds what could be read.
///
/// The record is written in place: returning and copying it costs some 30 instructions. This is
/// inlined into the loops that read frames; the compiler, which optimizes for size, would not.
#[inline(always)]
pub fn decode(
    link: LinkLayer,
    frame: &[u8],
    wire_len: u32,
    timestamp: i64,
    record: &mut PacketRecord,
) {
    record.timestamp = timestamp;
    record.wire_len = wire_len;
    record.captured_len = frame.len() as u32;
    if link == LinkLayer::Ethernet && fast_path::v4(frame, record) {
        return;
    }
    less_usual(link, frame, record);
}

/// Decodes a frame that is not the most usual one. Out of line: [`decode`] then needs few
/// registers.
#[inline(never)]
fn less_usual(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    if link == LinkLayer::Ethernet && fast_path::v6(frame, record) {
        return;
    }
    thorough(link, frame, record);
}

/// Decodes a frame of any kind. Timestamp and lengths are in the record.
///
/// Out of line: [`fast_path::v6`] then needs few registers, too.
#[inline(never)]
fn thorough(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    let PacketRecord { timestamp, wire_len, captured_len, .. } = *record;
    *record = PacketRecord { timestamp, wire_len, captured_len, ..PacketRecord::default() };
    link::walk(link, frame, record);
    // A length field may have narrowed these.
    (record.wire_len, record.captured_len) = (wire_len, captured_len);
}

/// Bytes on the wire from `rest` (a tail of the frame) on. This wraps if a capture claims to hold
/// more than was on the wire: it is compared, never used to index.
#[inline]
fn wire_from(rest: &[u8], record: &PacketRecord) -> u32 {
    let passed = record.captured_len - rest.len() as u32;
    record.wire_len.wrapping_sub(passed)
}

#[cfg(test)]
pub(crate) mod tests;
