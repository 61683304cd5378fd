//! Frame in, packet record out.
//!
//! [`decode`] runs on the capture threads, once per frame. It is a pure function: no
//! allocation, no lock, no I/O, no panic, whatever the bytes are.
//!
//! Theory of operation: [`link`] walks the link layer (and, with [`tags`], [`ppp`] and [`mpls`], the
//! VLAN tags, MPLS labels, PPPoE and LLC/SNAP headers that count as link layer) until it meets
//! the outermost IPv4, IPv6 or ARP header. [`ip`] reads that header and, behind it, just enough of TCP,
//! UDP and ICMP. What lies inside is payload: the inner packet of a tunnel is not
//! counted as a packet of its own. Only the headers that are needed are sliced: slicing
//! whole packets costs about 440 instructions each, measured on etherparse 0.2x. [`fast_path`]
//! is a short cut for the usual frame.

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

pub use layer::LinkLayer;
pub use record::{Addr, Defect, Fragment, Mac, NO_TIME, Network, PacketRecord, protocol};

/// Decodes one frame into `record`, whatever that held before.
///
/// `frame` is what was captured, `wire_len` its length on the wire in bytes, `timestamp`
/// in nanoseconds since 1970 UTC (or [`NO_TIME`]). Anything may be wrong with the bytes:
/// the record then says so in [`PacketRecord::defect`] and holds what could be read.
///
/// The record is written in place: to return it and copy it costs some 30 instructions. Inlined
/// in the loops that read frames, which the compiler, being told to make things small, would
/// not do.
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

/// Decodes a frame that is not the most usual one. Out of line, so that [`decode`] needs few
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
/// Out of line, so that [`fast_path::v6`] needs few registers, too.
#[inline(never)]
fn thorough(link: LinkLayer, frame: &[u8], record: &mut PacketRecord) {
    let PacketRecord { timestamp, wire_len, captured_len, .. } = *record;
    *record = PacketRecord { timestamp, wire_len, captured_len, ..PacketRecord::default() };
    link::walk(link, frame, record);
    // A length field may have narrowed them.
    (record.wire_len, record.captured_len) = (wire_len, captured_len);
}

/// Bytes that were on the wire from `rest` (a tail of the frame) on. A capture that claims
/// to hold more than was on the wire makes this wrap; it is compared, never used to index.
#[inline]
fn wire_from(rest: &[u8], record: &PacketRecord) -> u32 {
    let passed = record.captured_len - rest.len() as u32;
    record.wire_len.wrapping_sub(passed)
}

#[cfg(test)]
pub(crate) mod tests;
