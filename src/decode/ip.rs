//! IPv4 and IPv6 headers, and the few transport fields that are counted.
//!
//! Rules (the outermost header only): every fragment counts under its protocol, only the first has
//! ports. IPv6 extension headers are walked; AH and ESP end the walk. An IP length of 0
//! (segmentation offload, jumbograms) means "to the end of the frame".

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::record::{Defect, Fragment, HAS_SEQUENCE, SIGNALS_ERROR};
use super::{Addr, Network, PacketRecord, protocol, wire_from};

/// Reads an IPv4 or IPv6 packet, told apart by the version nibble.
pub(super) fn any(data: &[u8], record: &mut PacketRecord) {
    match data.first().map(|first| first >> 4) {
        Some(4) => v4(data, record),
        Some(6) => v6(data, record),
        Some(_) => record.set_defect(Defect::Malformed),
        None => record.set_short(),
    }
}

/// Reads a packet of an address family in unknown byte order. Families are small, so the smaller
/// reading is right.
pub(super) fn of_family(family: [u8; 4], packet: &[u8], record: &mut PacketRecord) {
    of(u32::from_le_bytes(family).min(u32::from_be_bytes(family)), packet, record);
}

/// The same for a family whose number is known.
pub(super) fn of(family: u32, packet: &[u8], record: &mut PacketRecord) {
    match family {
        2 => v4(packet, record),
        // AF_INET6 of Linux, Windows, NetBSD, FreeBSD and Darwin.
        10 | 23 | 24 | 28 | 30 => v6(packet, record),
        _ => {}
    }
}

/// Reads an IPv4 packet (RFC 791).
#[inline(always)]
pub(super) fn v4(data: &[u8], record: &mut PacketRecord) {
    match Ipv4HeaderSlice::from_slice(data) {
        Ok(header) => {
            v4_header(&header, data, header.slice().len(), record);
            if !checksum_holds(header.slice()) {
                record.set_bad_checksum();
            }
        }
        Err(_) => v4_damaged(data, record),
    }
}

/// An IPv4 header that etherparse refuses. If only the options are cut off, the addresses are still
/// read.
#[cold]
fn v4_damaged(data: &[u8], record: &mut PacketRecord) {
    let Some(fixed) = data.first_chunk::<20>() else {
        return match data.first() {
            Some(first) if first >> 4 != 4 => record.set_defect(Defect::Malformed),
            _ => record.set_short(),
        };
    };
    if fixed[0] >> 4 != 4 || fixed[0] & 0xf < 5 {
        return record.set_defect(Defect::Malformed);
    }
    record.set_short();
    let header_len = usize::from(fixed[0] & 0xf) * 4;
    let mut bare = *fixed;
    bare[0] = 0x45;
    if let Ok(header) = Ipv4HeaderSlice::from_slice(&bare) {
        v4_header(&header, data, header_len, record);
    }
}

// Always inline, here and below: the calls between these small functions cost more than
// the functions (about 40 instructions a frame, measured).
#[inline(always)]
fn v4_header(
    header: &Ipv4HeaderSlice<'_>,
    data: &[u8],
    header_len: usize,
    record: &mut PacketRecord,
) {
    record.set_network(Network::Ipv4);
    record.source = Addr::v4(header.source());
    record.destination = Addr::v4(header.destination());
    record.set_protocol(header.protocol().0);
    let on_wire = wire_from(data, record);
    let total_len = match header.total_len() {
        0 => on_wire,
        len => u32::from(len),
    };
    let header_wire = header_len as u32;
    let mut payload_len = total_len.wrapping_sub(header_wire);
    // Both "shorter than its header" (the difference wraps) and "longer than the frame".
    if payload_len > on_wire.wrapping_sub(header_wire) {
        record.set_defect(Defect::Malformed);
        payload_len = total_len.saturating_sub(header_wire);
    }
    let rest = data.get(header_len..).unwrap_or(&[]);
    let [high, low] = [header.slice()[6], header.slice()[7]];
    let fragment = u16::from_be_bytes([high, low]) & 0x3fff;
    if fragment == 0 {
        transport(rest, payload_len, record);
    } else {
        let offset = u32::from(fragment & 0x1fff) * 8;
        let identification = u32::from(header.identification());
        fragmented(rest, Fragment { identification, offset, length: payload_len }, record);
    }
}

/// A fragment: only the first has a transport header.
#[inline(never)]
fn fragmented(rest: &[u8], fragment: Fragment, record: &mut PacketRecord) {
    if fragment.offset == 0 {
        transport(rest, fragment.length, record);
    }
    record.set_fragment(fragment);
}

/// The Internet checksum (RFC 1071) over the header, its own field included, is all ones.
#[inline]
fn checksum_holds(header: &[u8]) -> bool {
    let Some((fixed, options)) = header.split_first_chunk::<20>() else {
        return false;
    };
    let word = |w: &[u8]| u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    let sum = ones_sum(fixed) % 0xffff + options.chunks_exact(4).map(word).sum::<u64>();
    sum.is_multiple_of(0xffff)
}

/// The bytes at `at`, which callers know to be in the header; zeros if they are not.
#[inline(always)]
pub(super) fn field<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// The sum of a header without options, to be divided by 65,535: where the checksum holds,
/// nothing remains.
///
/// A sum of 16-bit words with end-around carry is the remainder of the division by 65,535,
/// and so is that of larger words, in either byte order (RFC 1071, section 2). The compiler
/// makes one multiplication of the test; folding by hand takes twice the instructions. That
/// the sum is 0, which the test would pass too, cannot be: the version is 4.
#[inline(always)]
pub(super) fn ones_sum(header: &[u8; 20]) -> u64 {
    let first = u64::from_ne_bytes(field(header, 0));
    let second = u64::from_ne_bytes(field(header, 8));
    let third = u64::from(u32::from_ne_bytes(field(header, 16)));
    let (sum, carry) = first.overflowing_add(second);
    let (sum, last_carry) = sum.overflowing_add(third + u64::from(carry));
    sum.wrapping_add(u64::from(last_carry))
}

/// Whether an IPv6 next-header value is an extension header that is passed.
///
/// Hop-by-hop options, routing, fragment, destination options (RFC 8200), mobility
/// (RFC 6275), HIP (RFC 7401) and Shim6 (RFC 5533).
#[inline]
fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | 44 | 60 | 135 | 139 | 140)
}

/// Reads an IPv6 packet (RFC 8200).
#[inline]
pub(super) fn v6(data: &[u8], record: &mut PacketRecord) {
    let Ok(header) = Ipv6HeaderSlice::from_slice(data) else {
        return match data.first() {
            Some(first) if first >> 4 != 6 => record.set_defect(Defect::Malformed),
            _ => record.set_short(),
        };
    };
    record.set_network(Network::Ipv6);
    record.source = Addr::v6(header.source());
    record.destination = Addr::v6(header.destination());
    let on_wire = wire_from(data, record).saturating_sub(40);
    let payload_len = match header.payload_length() {
        0 => on_wire,
        len => u32::from(len),
    };
    if payload_len > on_wire {
        record.set_defect(Defect::Malformed);
    }
    let next_header = header.next_header().0;
    let rest = &data[40..];
    if is_extension(next_header) {
        extensions(next_header, rest, payload_len, record);
    } else {
        record.set_protocol(next_header);
        transport(rest, payload_len, record);
    }
}

/// Walks the extension headers to the upper-layer protocol. It always ends: each step moves on by
/// at least 8 bytes.
fn extensions(mut next_header: u8, mut rest: &[u8], mut left: u32, record: &mut PacketRecord) {
    let mut fragment = None;
    while is_extension(next_header) {
        let Some(&[next, length, high, low, a, b, c, d]) = rest.first_chunk::<8>() else {
            record.set_protocol(protocol::UNKNOWN_V6);
            return record.set_short();
        };
        let size = if next_header == 44 { 8 } else { (usize::from(length) + 1) * 8 };
        if left < size as u32 {
            record.set_defect(Defect::Malformed);
        }
        left = left.saturating_sub(size as u32);
        rest = rest.get(size..).unwrap_or(&[]);
        if next_header == 44 {
            let field = u16::from_be_bytes([high, low]);
            let offset = u32::from(field & 0xfff8);
            // An "atomic" fragment (RFC 6946) is a whole datagram.
            if field & 0xfff9 != 0 {
                let identification = u32::from_be_bytes([a, b, c, d]);
                fragment = Some(Fragment { identification, offset, length: left });
            }
            if offset != 0 {
                next_header = next;
                break;
            }
        }
        next_header = next;
    }
    record.set_protocol(next_header);
    match fragment {
        Some(fragment) => fragmented(rest, fragment, record),
        None => transport(rest, left, record),
    }
}

/// TCP, UDP and SCTP ports, the TCP reset flag and sequence, ICMP unreachable.
///
/// `data` is the capture from the transport header on; `length` is what the IP header gives for it,
/// in bytes.
#[inline(always)]
fn transport(data: &[u8], length: u32, record: &mut PacketRecord) {
    // The most frequent first.
    if record.protocol() == protocol::TCP {
        if ports(data, length, record) {
            tcp(data, length, record);
        }
    } else if record.protocol() == protocol::UDP {
        ports(data, length, record);
    } else if record.protocol() == protocol::ICMP {
        unreachable_message(data, length, 3, record);
    } else if record.protocol() == protocol::ICMPV6 {
        unreachable_message(data, length, 1, record);
    } else if record.protocol() == protocol::SCTP {
        // RFC 9260, section 3.1: the common header begins like that of UDP.
        ports(data, length, record);
    }
}

#[inline(always)]
fn ports(data: &[u8], length: u32, record: &mut PacketRecord) -> bool {
    match data.first_chunk::<4>() {
        Some(&ports) if length >= 4 => {
            record.set_ports(ports);
            true
        }
        Some(_) => {
            record.set_defect(Defect::Malformed);
            false
        }
        None => {
            record.set_short();
            false
        }
    }
}

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;

/// RFC 9293, section 3.1.
#[inline(always)]
fn tcp(data: &[u8], length: u32, record: &mut PacketRecord) {
    let Some(header) = data.first_chunk::<14>() else {
        return record.set_short();
    };
    let header_len = u32::from(header[12] >> 4) * 4;
    let flags = header[13];
    if flags & RST != 0 {
        record.set_flag(SIGNALS_ERROR);
    }
    if header_len < 20 || header_len > length {
        return record.set_defect(Defect::Malformed);
    }
    let occupied = length - header_len + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    if occupied != 0 {
        let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        record.sequence = sequence.wrapping_add(occupied);
        record.set_flag(HAS_SEQUENCE);
    }
}

/// Type 3 of ICMP (RFC 792), type 1 of ICMPv6 (RFC 4443).
#[inline(never)]
fn unreachable_message(data: &[u8], length: u32, kind: u8, record: &mut PacketRecord) {
    match data.first() {
        Some(&first) if length > 0 => {
            if first == kind {
                record.set_flag(SIGNALS_ERROR);
            }
        }
        Some(_) => record.set_defect(Defect::Malformed),
        None => record.set_short(),
    }
}
