//! Frames from live interfaces and capture files, through libpcap.
//!
//! Capture threads run here. They own the pcap handle, decode each frame's headers into
//! a packet record and push it into their ring; they never allocate per frame, never
//! lock and never wait on a disk.

mod fanout;
pub mod file;
pub mod handle;
pub mod interfaces;
pub mod live;
pub mod sight;

use pcap::{Linktype, PacketHeader, Precision};

use crate::decode::NO_TIME;

/// libpcap's name for a link type, such as `EN10MB`.
fn link_type_name(link_type: Linktype) -> String {
    link_type.get_name().unwrap_or_else(|_| link_type.0.to_string())
}

/// The frame's time in nanoseconds since 1970 UTC.
///
/// libpcap reads the unsigned seconds of a classic capture file as signed: times from
/// 2038 on come out negative.
#[inline]
// On 32-bit targets these fields are narrower.
#[allow(clippy::useless_conversion)]
fn timestamp(header: &PacketHeader, precision: Precision) -> i64 {
    let seconds = i64::from(header.ts.tv_sec);
    let fraction = match precision {
        Precision::Nano => i64::from(header.ts.tv_usec),
        Precision::Micro => i64::from(header.ts.tv_usec) * 1_000,
    };
    if (0..1 << 32).contains(&seconds) {
        return seconds * 1_000_000_000 + fraction;
    }
    odd_timestamp(seconds, fraction)
}

#[cold]
fn odd_timestamp(seconds: i64, fraction: i64) -> i64 {
    let seconds = if (-(1 << 31)..0).contains(&seconds) { seconds + (1 << 32) } else { seconds };
    // Past the year 2262 only a damaged file goes.
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|seconds| seconds.checked_add(fraction))
        .filter(|time| *time < i64::MAX)
        .unwrap_or(NO_TIME)
}
