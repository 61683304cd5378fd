//! The counters. One worker thread owns them; this room knows of no thread, no clock and
//! no disk, so that it can be tested by feeding it records.
//!
//! Rules, in short (the house plan has them in full): interface totals count every frame
//! by wire length, and everything else is a split of them. An IP packet adds its frame's
//! wire length to "sent" of its source and "received" of its destination. In every split,
//! rows + other + none = total, to the byte: *other* holds what a bounded table had to
//! fold, *none* the frames that have no such thing (an ARP frame has no port).

mod anomaly;
mod local;
mod ports;
mod snapshot;
mod table;
mod volume;

use ipnet::IpNet;

use crate::decode::{Addr, Defect, Mac, NO_TIME, Network, PacketRecord, protocol};
use anomaly::{Fragments, Retransmissions};
use table::Table;

pub use local::{Direction, LocalNetworks};
pub use ports::{Ports, Transport};
pub use snapshot::{
    ClosedInterval, Drops, HostRow, IntervalHost, IntervalInterface, IntervalPort,
    IntervalProtocol, InterfaceRow, KernelErrors, PortRow, ProtocolRow, Second, Snapshot,
};
pub use volume::{InOut, Split, Volume};

/// Hosts that are told apart by default; the rest is in "other".
pub const DEFAULT_HOST_LIMIT: usize = 32_768;

/// The kinds of errors that are counted per interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ErrorKind {
    /// The capture's snap length cut off a header that was to be read.
    Truncated = 0,
    /// A header contradicts itself or the frame's length.
    Malformed = 1,
    /// The IPv4 header checksum is wrong.
    BadIpv4Checksum = 2,
    /// A fragment covers bytes that another one has brought.
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

/// The row of protocols for IPv6 packets whose protocol is not known.
const UNKNOWN_PROTOCOL: usize = 256;
const PROTOCOLS: usize = 257;

/// What is known of one host.
#[derive(Clone, Copy, Debug)]
struct Host {
    traffic: Split<InOut>,
    first: i64,
    last: i64,
    mac: Mac,
    local: bool,
}

impl Host {
    #[inline]
    fn see(&mut self, timestamp: i64) {
        if timestamp != NO_TIME {
            self.last = timestamp;
        }
    }
}

/// What is counted per interface.
#[derive(Clone)]
struct Interface {
    name: String,
    link_type: String,
    directions: [Volume; 5],
    ethertypes: [Volume; 4],
    captured_bytes: u64,
    errors: [u64; ErrorKind::COUNT],
    drops: Drops,
    kernel: KernelErrors,
    is_capturing: bool,
    /// `directions` and drops when the open interval began.
    at_interval: ([Volume; 5], Drops),
    /// `directions` when the open second began.
    at_second: [Volume; 5],
}

impl Interface {
    fn total(&self) -> Volume {
        self.directions.iter().copied().sum()
    }
}

/// All counters of one run.
pub struct Accounts {
    interfaces: Vec<Interface>,
    hosts: Table<Addr, Host>,
    other_hosts: Split<InOut>,
    ports: Ports,
    without_port: Split<Volume>,
    protocols: Box<[Volume; PROTOCOLS]>,
    protocols_at_interval: Box<[Volume; PROTOCOLS]>,
    retransmissions: Retransmissions,
    fragments: Fragments,
    local: LocalNetworks,
    first: i64,
    last: i64,
    frames: u64,
}

impl Accounts {
    /// Empty counters that tell at most `host_limit` hosts apart.
    pub fn new(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts {
            interfaces: Vec::new(),
            hosts: Table::new(host_limit),
            other_hosts: Split::default(),
            ports: Ports::new(),
            without_port: Split::default(),
            protocols: Box::new([Volume::default(); PROTOCOLS]),
            protocols_at_interval: Box::new([Volume::default(); PROTOCOLS]),
            retransmissions: Retransmissions::new(),
            fragments: Fragments::new(),
            local,
            first: NO_TIME,
            last: NO_TIME,
            frames: 0,
        }
    }

    /// Adds an interface, or finds the one of that name again; returns its number.
    pub fn interface(&mut self, name: &str, link_type: &str) -> usize {
        if let Some(at) = self.interfaces.iter().position(|i| i.name == name) {
            self.set_link_type(at, link_type);
            return at;
        }
        self.interfaces.push(Interface {
            name: name.to_owned(),
            link_type: link_type.to_owned(),
            directions: Default::default(),
            ethertypes: Default::default(),
            captured_bytes: 0,
            errors: [0; ErrorKind::COUNT],
            drops: Drops::default(),
            kernel: KernelErrors::default(),
            is_capturing: false,
            at_interval: Default::default(),
            at_second: Default::default(),
        });
        self.interfaces.len() - 1
    }

    /// Counts one frame of an interface, given by number. Runs once per frame.
    #[inline]
    pub fn count(&mut self, interface: usize, record: &PacketRecord) {
        let bytes = u64::from(record.wire_len);
        self.frames += 1;
        if record.timestamp != NO_TIME {
            if self.first == NO_TIME {
                self.first = record.timestamp;
            }
            self.last = record.timestamp;
        }
        let network = record.network();
        let direction = match network {
            Network::Ipv4 | Network::Ipv6 => self.count_ip(interface, record, bytes),
            Network::Arp | Network::Other => {
                self.without_port.interval.count(bytes);
                Direction::None
            }
        };
        let counters = &mut self.interfaces[interface];
        counters.directions[direction as usize].count(bytes);
        counters.ethertypes[network as usize].count(bytes);
        counters.captured_bytes += u64::from(record.captured_len);
        if record.is_remarkable() {
            counters.count_errors(record);
        }
    }

    #[inline]
    fn count_ip(&mut self, interface: usize, record: &PacketRecord, bytes: u64) -> Direction {
        let mac = record.source_mac();
        let source = self.host(record.source, None, record.timestamp);
        let host = self.hosts.at(source);
        host.traffic.interval.sent.count(bytes);
        host.see(record.timestamp);
        let source_is_local = host.local;
        // The MAC in front of a remote address is the router's.
        if source_is_local && mac.is_known() {
            host.mac = mac;
        }
        let destination = self.host(record.destination, Some(source), record.timestamp);
        let host = self.hosts.at(destination);
        host.traffic.interval.received.count(bytes);
        host.see(record.timestamp);
        let direction = Direction::of(source_is_local, host.local);

        self.protocols[protocol_row(record)].count(bytes);
        match (record.service_port(), Transport::from_number(record.protocol)) {
            (Some(port), Some(transport)) => self.ports.count(transport, port, bytes),
            _ => self.without_port.interval.count(bytes),
        }
        if let Some(next) = record.next_sequence() {
            let ports = record.ports().unwrap_or_default();
            let ports = u64::from(ports.0) << 16 | u64::from(ports.1);
            let ends = u64::from(source) << 32 | u64::from(destination);
            let key = ends.rotate_left(16) ^ ports ^ (interface as u64) << 60;
            if self.retransmissions.observe(key, next) {
                self.interfaces[interface].errors[ErrorKind::TcpRetransmission as usize] += 1;
            }
        }
        if let Some(fragment) = record.fragment() {
            let ends = u64::from(source) << 32 | u64::from(destination);
            if self.fragments.observe(ends ^ (interface as u64) << 60, record, fragment) {
                self.interfaces[interface].errors[ErrorKind::OverlappingFragment as usize] += 1;
            }
        }
        direction
    }

    #[inline]
    fn host(&mut self, address: Addr, keep: Option<u32>, timestamp: i64) -> u32 {
        let (local, other) = (&self.local, &mut self.other_hosts);
        self.hosts.slot(
            address,
            keep,
            || Host {
                traffic: Split::default(),
                first: timestamp,
                last: timestamp,
                mac: Mac::default(),
                local: local.has(&address),
            },
            |_, evicted| other.fold(&evicted.traffic),
        )
    }

    /// Sets the drop counters of an interface, in all since the start.
    pub fn set_drops(&mut self, interface: usize, drops: Drops) {
        self.interfaces[interface].drops = drops;
    }

    /// Sets whether an interface is being captured, and the kernel's own error counters.
    pub fn set_state(&mut self, interface: usize, is_capturing: bool, kernel: KernelErrors) {
        self.interfaces[interface].is_capturing = is_capturing;
        self.interfaces[interface].kernel = kernel;
    }

    /// Sets the link type of an interface, libpcap's name; empty means not known yet.
    pub fn set_link_type(&mut self, interface: usize, link_type: &str) {
        let known = &mut self.interfaces[interface].link_type;
        if !link_type.is_empty() && known != link_type {
            link_type.clone_into(known);
        }
    }

    /// Changes what counts as inside, for hosts known already too.
    pub fn set_local(&mut self, local: LocalNetworks) {
        for (address, host) in self.hosts.iter_mut() {
            host.local = local.has(address);
        }
        self.local = local;
    }

    /// The prefixes that count as inside.
    pub fn local_prefixes(&self) -> &[IpNet] {
        self.local.prefixes()
    }

    /// Frames counted so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

/// The row of a packet's protocol.
#[inline]
fn protocol_row(record: &PacketRecord) -> usize {
    match (record.network(), record.protocol) {
        (Network::Ipv6, protocol::UNKNOWN_V6) => UNKNOWN_PROTOCOL,
        (_, number) => usize::from(number),
    }
}

impl Interface {
    #[cold]
    fn count_errors(&mut self, record: &PacketRecord) {
        let mut count = |kind: ErrorKind| self.errors[kind as usize] += 1;
        match record.defect() {
            Defect::None => {}
            Defect::BadChecksum => count(ErrorKind::BadIpv4Checksum),
            Defect::Truncated => count(ErrorKind::Truncated),
            Defect::Malformed => count(ErrorKind::Malformed),
        }
        if record.is_reset() {
            count(ErrorKind::TcpReset);
        }
        if record.is_unreachable() {
            count(ErrorKind::IcmpUnreachable);
        }
    }
}

/// The usual lower-case name of an IP protocol (IANA protocol numbers), else its number.
pub fn protocol_name(number: u16) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        8 => "egp",
        9 => "igp",
        17 => "udp",
        27 => "rdp",
        33 => "dccp",
        41 => "ipv6",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        59 => "ipv6-nonxt",
        88 => "eigrp",
        89 => "ospf",
        94 => "ipip-nos",
        97 => "etherip",
        98 => "encap",
        103 => "pim",
        108 => "ipcomp",
        112 => "vrrp",
        115 => "l2tp",
        124 => "isis",
        132 => "sctp",
        136 => "udplite",
        137 => "mpls-in-ip",
        256 => "unknown",
        _ => return number.to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests;
