//! The counters of an interface.

use serde::Serialize;

use super::local::Direction;
use super::rates::Range;
use super::volume::Volume;
use crate::decode::Network;

/// The kinds of errors that are counted per interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ErrorKind {
    /// The capture's snap length cut off a header that was needed.
    Truncated = 0,
    /// A header contradicts itself or the frame's length.
    Malformed = 1,
    /// The IPv4 header checksum is wrong.
    BadIpv4Checksum = 2,
    /// A fragment covers bytes of an earlier one.
    OverlappingFragment = 3,
    /// A TCP segment with the reset flag.
    TcpReset = 4,
    /// A TCP segment whose last byte had been seen before.
    TcpRetransmission = 5,
    /// An ICMP or ICMPv6 "destination unreachable".
    IcmpUnreachable = 6,
}

impl ErrorKind {
    /// How many kinds there are.
    pub const COUNT: usize = 7;

    /// Names, in the order of the numbers.
    pub const NAMES: [&str; ErrorKind::COUNT] = [
        "truncated",
        "malformed",
        "bad_ipv4_checksum",
        "overlapping_fragment",
        "tcp_reset",
        "tcp_retransmission",
        "icmp_unreachable",
    ];
}

/// Frames that arrived but were not counted, since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Drops {
    /// Lost by the kernel: its capture ring was full (`ps_drop` of libpcap).
    pub kernel: u64,
    /// Lost by the network card or its driver (`ps_ifdrop` of libpcap).
    pub interface: u64,
    /// Lost between capture and worker thread: our ring was full.
    pub ring: u64,
}

impl Drops {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.kernel + self.interface + self.ring
    }
}

impl std::ops::Add for Drops {
    type Output = Drops;

    fn add(self, other: Drops) -> Drops {
        Drops {
            kernel: self.kernel + other.kernel,
            interface: self.interface + other.interface,
            ring: self.ring + other.ring,
        }
    }
}

/// The kernel's own counters of an interface, since it came up (`/sys/class/net/*/statistics`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct KernelErrors {
    /// Damaged frames received.
    pub receive_errors: u64,
    /// Received frames that the kernel dropped.
    pub receive_dropped: u64,
    /// Frames that could not be sent.
    pub transmit_errors: u64,
    /// Frames to send that the kernel dropped.
    pub transmit_dropped: u64,
}

/// The counter of an interface for this network and direction, below [`CELLS`].
#[inline]
pub(super) fn cell(network: Network, direction: Direction) -> u8 {
    network as u8 * 8 + direction as u8
}

/// A power of two each: every frame indexes a cell.
pub(super) const CELLS: usize = 4 * 8;

/// The counters of an interface.
#[derive(Clone)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) link_type: String,
    /// By [`cell`]: one counter to write per frame; all sums come from them.
    pub(super) cells: [Volume; CELLS],
    pub(super) captured_bytes: u64,
    pub(super) errors: [u64; ErrorKind::COUNT],
    pub(super) drops: Drops,
    pub(super) kernel: KernelErrors,
    pub(super) is_capturing: bool,
    pub(super) is_watched: bool,
    /// Milliseconds in which it was captured.
    pub(super) covered: u64,
    /// When the open base interval began.
    pub(super) at_base: Mark,
    /// When the open fine interval began.
    pub(super) at_fine: Mark,
    /// Fine intervals with traffic or capture since the last base close, and their rates by
    /// [`Direction`].
    pub(super) fine_intervals: u32,
    pub(super) ranges: [Range; 5],
    /// Directions when the open second began.
    pub(super) at_second: [Volume; 5],
}

impl Interface {
    /// Nothing has been counted.
    pub(super) fn new(name: &str, link_type: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            link_type: link_type.to_owned(),
            cells: Default::default(),
            captured_bytes: 0,
            errors: [0; ErrorKind::COUNT],
            drops: Drops::default(),
            kernel: KernelErrors::default(),
            is_capturing: false,
            is_watched: true,
            covered: 0,
            at_base: Mark::default(),
            at_fine: Mark::default(),
            fine_intervals: 0,
            ranges: Default::default(),
            at_second: Default::default(),
        }
    }

    pub(super) fn total(&self) -> Volume {
        self.cells.iter().copied().sum()
    }

    pub(super) fn count_error(&mut self, kind: ErrorKind) {
        self.errors[kind as usize] += 1;
    }

    pub(super) fn directions(&self) -> [Volume; 5] {
        std::array::from_fn(|at| self.cells.iter().skip(at).step_by(8).copied().sum())
    }

    pub(super) fn ethertypes(&self) -> [Volume; Network::ALL.len()] {
        std::array::from_fn(|at| self.cells[at * 8..at * 8 + 8].iter().copied().sum())
    }
}

/// The counters of an interface when an interval began.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) directions: [Volume; 5],
    pub(super) dropped: u64,
    pub(super) covered: u64,
}
