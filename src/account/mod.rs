//! The counters. One worker thread owns them; this room knows of no thread, no clock and
//! no disk, so that it can be tested by feeding it records.
//!
//! Rules, in short (the house plan has them in full): interface totals count every frame
//! by wire length, and everything else is a split of them. An IP packet adds its frame's
//! wire length to "sent" of its source and "received" of its destination. In every split,
//! rows + other + none = total, to the byte: *other* holds what a bounded table had to
//! fold, *none* the frames that have no such thing (an ARP frame has no port).

mod flows;
mod fragments;
mod index;
mod local;
mod ports;
mod snapshot;
mod table;
mod volume;

use ipnet::IpNet;

use crate::decode::{Addr, Defect, Mac, NO_TIME, Network, PacketRecord, protocol};
use flows::{Flow, Flows, NO_SLOT};
use fragments::Fragments;
use ports::PORT_KEYS;
use table::Table;

pub use local::{Direction, LocalNetworks};
pub use ports::{PortKey, Transport};
pub use snapshot::{
    ClosedInterval, Drops, HostRow, InterfaceRow, IntervalHost, IntervalInterface, IntervalPort,
    IntervalProtocol, KernelErrors, PortRow, ProtocolRow, Second, Snapshot,
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

/// The counter of an interface for this network and direction, below [`CELLS`].
#[inline]
fn cell(network: Network, direction: Direction) -> u8 {
    network as u8 * 5 + direction as u8
}

const CELLS: usize = 4 * 5;

/// What is counted per interface.
#[derive(Clone)]
struct Interface {
    name: String,
    link_type: String,
    /// By [`cell`]: one counter to write per frame, all sums come from it.
    cells: [Volume; CELLS],
    captured_bytes: u64,
    errors: [u64; ErrorKind::COUNT],
    drops: Drops,
    kernel: KernelErrors,
    is_capturing: bool,
    /// Directions and drops when the open interval began.
    at_interval: ([Volume; 5], Drops),
    /// Directions when the open second began.
    at_second: [Volume; 5],
}

impl Interface {
    fn total(&self) -> Volume {
        self.cells.iter().copied().sum()
    }

    fn count_error(&mut self, kind: ErrorKind) {
        self.errors[kind as usize] += 1;
    }

    fn directions(&self) -> [Volume; 5] {
        std::array::from_fn(|at| self.cells.iter().skip(at).step_by(5).copied().sum())
    }

    fn ethertypes(&self) -> [Volume; 4] {
        std::array::from_fn(|at| self.cells[at * 5..at * 5 + 5].iter().copied().sum())
    }
}

/// All counters of one run.
pub struct Accounts {
    interfaces: Vec<Interface>,
    hosts: Table<Addr, Host>,
    other_hosts: Split<InOut>,
    ports: Table<PortKey, Split<Volume>>,
    without_port: Split<Volume>,
    protocols: Box<[Volume; PROTOCOLS]>,
    protocols_at_interval: Box<[Volume; PROTOCOLS]>,
    fragments: Fragments,
    local: LocalNetworks,
    first: i64,
    last: i64,
    flows: Flows,
}

impl Accounts {
    /// Empty counters that tell at most `host_limit` hosts apart.
    pub fn new(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts {
            interfaces: Vec::new(),
            hosts: Table::new(host_limit),
            other_hosts: Split::default(),
            ports: Table::new(PORT_KEYS),
            without_port: Split::default(),
            protocols: Box::new([Volume::default(); PROTOCOLS]),
            protocols_at_interval: Box::new([Volume::default(); PROTOCOLS]),
            fragments: Fragments::new(),
            local,
            first: NO_TIME,
            last: NO_TIME,
            flows: Flows::new(),
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
            cells: Default::default(),
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

    /// Counts frames of an interface, given by number. This is the hot loop.
    #[inline]
    pub fn count(&mut self, interface: usize, records: &[PacketRecord]) {
        // Frames without a time stamp do not count for the span.
        let mut times = records.iter().map(|r| r.timestamp).filter(|time| *time != NO_TIME);
        if let Some(last) = times.next_back() {
            if self.first == NO_TIME {
                self.first = times.next().unwrap_or(last);
            }
            self.last = last;
        }
        // Sums of this batch stay near at hand and are added once.
        let mut cells = [Volume::default(); CELLS];
        let mut captured_bytes = 0;
        for record in records {
            let bytes = u64::from(record.wire_len);
            let cell = if record.is_ip() {
                self.count_ip(interface, record, bytes)
            } else {
                self.without_port.interval.count(bytes);
                cell(record.network(), Direction::None)
            };
            cells[usize::from(cell) % cells.len()].count(bytes);
            captured_bytes += u64::from(record.captured_len);
            if record.is_remarkable() {
                self.count_errors(interface, record);
            }
        }
        let counters = &mut self.interfaces[interface];
        counters.captured_bytes += captured_bytes;
        for (sum, cell) in counters.cells.iter_mut().zip(cells) {
            *sum += cell;
        }
    }

    /// Counts an IP packet and returns its cell.
    #[inline(always)]
    fn count_ip(&mut self, interface: usize, record: &PacketRecord, bytes: u64) -> u8 {
        let flow = self.flows.place(interface, record);
        let ends = (flow.source, flow.destination);
        let hosts = match flow.fits(record) {
            true => self.hosts.pair(ends, (&record.source, &record.destination)),
            false => None,
        };
        match hosts {
            Some((source, destination)) => {
                source.traffic.interval.sent.count(bytes);
                source.last = record.timestamp;
                destination.traffic.interval.received.count(bytes);
                destination.last = record.timestamp;
            }
            None => self.count_new_flow(interface, record, bytes),
        }
        self.protocols[protocol_row(record)].count(bytes);
        let flow = self.flows.place(interface, record);
        match self.ports.get(flow.port) {
            Some(port) => port.interval.count(bytes),
            None => self.without_port.interval.count(bytes),
        }
        if let Some(next) = record.next_sequence()
            && flow.is_retransmission(next)
        {
            self.interfaces[interface].count_error(ErrorKind::TcpRetransmission);
        }
        flow.cell
    }

    /// Counts for the two hosts of a packet whose flow is not in its first place: if it is
    /// nowhere, finds or makes their rows and that of the service port, and remembers it.
    #[inline(never)]
    fn count_new_flow(&mut self, interface: usize, record: &PacketRecord, bytes: u64) {
        let Accounts { flows, hosts, .. } = self;
        let known = *flows.place(interface, record);
        let is_known = flows.promote(interface, record, |flow| {
            let ends = (flow.source, flow.destination);
            let hosts = hosts.pair(ends, (&record.source, &record.destination));
            hosts.is_some_and(|(source, destination)| {
                source.traffic.interval.sent.count(bytes);
                source.last = record.timestamp;
                destination.traffic.interval.received.count(bytes);
                destination.last = record.timestamp;
                true
            })
        });
        if is_known {
            return;
        }
        let source = match self.hosts.find(&record.source) {
            Some(slot) => slot,
            None => self.new_host(record.source, None, record.timestamp),
        };
        let host = self.hosts.at(source);
        host.traffic.interval.sent.count(bytes);
        host.last = record.timestamp;
        let source_is_local = host.local;
        let mac = record.source_mac();
        // The MAC in front of a remote address is the router's.
        if source_is_local && mac.is_known() {
            host.mac = mac;
        }
        let destination = match self.hosts.find(&record.destination) {
            Some(slot) => slot,
            None => self.new_host(record.destination, Some(source), record.timestamp),
        };
        let host = self.hosts.at(destination);
        host.traffic.interval.received.count(bytes);
        host.last = record.timestamp;
        let direction = Direction::of(source_is_local, host.local);
        let port = self.port(record);
        let cell = cell(record.network(), direction);
        let flow = Flow::new(record, (source, destination), port, cell);
        // The flow of a host to itself always comes here: `pair` lends no row twice.
        let goes_on = source == destination && known.is_same(&flow);
        *self.flows.place(interface, record) = if goes_on { known } else { flow };
    }

    #[cold]
    #[inline(never)]
    fn new_host(&mut self, address: Addr, keep: Option<u32>, timestamp: i64) -> u32 {
        let host = Host {
            traffic: Split::default(),
            first: timestamp,
            last: timestamp,
            mac: Mac::default(),
            local: self.local.has(&address),
        };
        let other = &mut self.other_hosts;
        self.hosts.insert(address, host, keep, |_, evicted| other.fold(&evicted.traffic))
    }

    /// The slot of the packet's service port.
    fn port(&mut self, record: &PacketRecord) -> u32 {
        let Some(port) = record.service_port() else {
            return NO_SLOT;
        };
        let is_tcp = record.protocol == protocol::TCP;
        let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
        let key = PortKey { transport, port };
        match self.ports.find(&key) {
            Some(slot) => slot,
            // The table has room for every port: none is ever folded.
            None => self.ports.insert(key, Split::default(), None, |_, _| ()),
        }
    }

    /// Counts what is remarkable about a frame.
    #[cold]
    fn count_errors(&mut self, interface: usize, record: &PacketRecord) {
        let counters = &mut self.interfaces[interface];
        match record.defect() {
            Defect::None => {}
            Defect::BadChecksum => counters.count_error(ErrorKind::BadIpv4Checksum),
            Defect::Truncated => counters.count_error(ErrorKind::Truncated),
            Defect::Malformed => counters.count_error(ErrorKind::Malformed),
        }
        if record.is_reset() {
            counters.count_error(ErrorKind::TcpReset);
        }
        if record.is_unreachable() {
            counters.count_error(ErrorKind::IcmpUnreachable);
        }
        if let Some(fragment) = record.fragment()
            && self.fragments.observe(interface, record, fragment)
        {
            counters.count_error(ErrorKind::OverlappingFragment);
        }
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
            if !host.local {
                host.mac = Mac::default();
            }
        }
        self.flows.clear();
        self.local = local;
    }

    /// Frames counted so far, and bytes captured of them.
    pub fn captured(&self) -> Volume {
        let packets = self.interfaces.iter().map(|i| i.total().packets).sum();
        Volume { packets, bytes: self.interfaces.iter().map(|i| i.captured_bytes).sum() }
    }

    /// The prefixes that count as inside.
    pub fn local_prefixes(&self) -> &[IpNet] {
        self.local.prefixes()
    }
}

/// The row of a packet's protocol.
#[inline]
fn protocol_row(record: &PacketRecord) -> usize {
    match record.protocol {
        protocol::UNKNOWN_V6 if record.network() == Network::Ipv6 => UNKNOWN_PROTOCOL,
        number => usize::from(number),
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
