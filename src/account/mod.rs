//! The counters. One worker thread owns them; this room knows of no thread, no clock and
//! no disk, so that it can be tested by feeding it records.
//!
//! Rules, in short (the house plan has them in full): interface totals count every frame
//! by wire length, and everything else is a split of them. An IP packet adds its frame's
//! wire length to "sent" of its source and "received" of its destination. In every split,
//! rows + other + none = total, to the byte: *other* holds what a bounded table had to
//! fold, *none* the frames that have no such thing (an ARP frame has no port).

mod fine;
mod flows;
mod fragments;
mod index;
mod interval;
mod local;
mod ports;
mod protocols;
mod services;
mod snapshot;
mod table;
mod volume;

use ipnet::IpNet;

use crate::decode::{Addr, Defect, Mac, NO_TIME, Network, PacketRecord};
use fine::{Fine, Mark};
use flows::{Counters, Flow, Flows, NO_SLOT, Seed};
use fragments::Fragments;
use ports::Ports;
use protocols::{PROTOCOL_ROWS, PROTOCOLS, protocol_row};
use services::Services;
use table::Table;

pub use interval::{
    ClosedInterval, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol,
    IntervalService, Rates,
};
pub use local::{Direction, LocalNetworks};
pub use ports::{PortKey, Transport};
pub use protocols::protocol_name;
pub use services::{Service, ServiceRow};
pub use snapshot::{
    Busiest, CLASSES, Drops, HostRow, InterfaceRow, KernelErrors, PortRow, ProtocolRow, Second,
    Snapshot, class_of,
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

/// What is known of one host.
#[derive(Clone, Copy, Debug)]
struct Host {
    traffic: Split<InOut>,
    first: i64,
    last: i64,
    mac: Mac,
    local: bool,
    /// How many hosts had been folded when it had got its slot: it differs between the hosts
    /// that have one slot. (64 bits: 32 would go round after some hours of a scan.)
    born: u64,
}

impl Host {
    /// Notes the MAC that sent a packet of this host. Only for local ones: the MAC in front
    /// of a remote address is the router's.
    #[inline]
    fn learn_mac(&mut self, record: &PacketRecord) {
        if record.shows_mac() {
            self.mac = record.source_mac();
        }
    }
}

/// The counter of an interface for this network and direction, below [`CELLS`].
#[inline]
fn cell(network: Network, direction: Direction) -> u8 {
    network as u8 * 8 + direction as u8
}

/// A power of two each: a cell is looked up with every frame.
const CELLS: usize = 4 * 8;

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
    is_watched: bool,
    /// Milliseconds in which it was captured.
    covered: u64,
    /// When the open interval began.
    at_interval: Mark,
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
        std::array::from_fn(|at| self.cells.iter().skip(at).step_by(8).copied().sum())
    }

    fn ethertypes(&self) -> [Volume; 4] {
        std::array::from_fn(|at| self.cells[at * 8..at * 8 + 8].iter().copied().sum())
    }
}

/// All counters of one run.
pub struct Accounts {
    interfaces: Vec<Interface>,
    hosts: Table<Addr, Host>,
    other_hosts: Split<InOut>,
    ports: Ports,
    without_port: Split<Volume>,
    /// IP packets without a port, by the row of their protocol.
    portless: Box<[Volume; PROTOCOL_ROWS]>,
    protocols_at_interval: Box<[Volume; PROTOCOL_ROWS]>,
    fragments: Fragments,
    local: LocalNetworks,
    first: i64,
    last: i64,
    flows: Flows,
    services: Services,
    fine: Fine,
    /// Packets by class when the open second began.
    classes_at_second: [u64; CLASSES],
}

impl Accounts {
    /// Empty counters that tell at most `host_limit` hosts apart.
    pub fn new(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts::seeded(host_limit, local, Seed::random())
    }

    /// As [`Accounts::new`], for capture files: the same files give the same counts each time,
    /// to the last retransmission.
    pub fn of_files(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts::seeded(host_limit, local, Seed::fixed())
    }

    fn seeded(host_limit: usize, local: LocalNetworks, seed: Seed) -> Accounts {
        Accounts {
            interfaces: Vec::new(),
            hosts: Table::new(host_limit),
            other_hosts: Split::default(),
            ports: Ports::new(),
            without_port: Split::default(),
            portless: Box::new([Volume::default(); PROTOCOL_ROWS]),
            protocols_at_interval: Box::new([Volume::default(); PROTOCOL_ROWS]),
            fragments: Fragments::new(),
            local,
            first: NO_TIME,
            last: NO_TIME,
            flows: Flows::new(seed),
            services: Services::new(),
            fine: Fine::default(),
            classes_at_second: [0; CLASSES],
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
            is_watched: true,
            covered: 0,
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
            let cell = self.count_record(interface, record).cell();
            cells[cell].count(bytes);
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

    /// Counts a frame but for its cell, which it returns.
    #[inline(always)]
    fn count_record(&mut self, interface: usize, record: &PacketRecord) -> Counters {
        let key = Flows::key(interface, record);
        let set = self.flows.set(key, record);
        if let Some(counters) = self.count_known_flow::<0>(interface, set, key, record) {
            return counters;
        }
        if let Some(counters) = self.count_known_flow::<1>(interface, set, key, record) {
            self.flows.promote(set);
            return counters;
        }
        // No flow has the key of a frame that is not of IP, so that only here it matters.
        if record.is_ip() {
            return self.count_new_flow(set, key, record);
        }
        self.without_port.interval.count(u64::from(record.wire_len));
        Counters::new(NO_SLOT, cell(record.network(), Direction::None))
    }

    /// Counts an IP packet of the flow that is remembered in this place of its set, and
    /// returns its cell; `None`, and nothing is counted, if another flow is there.
    #[inline(always)]
    fn count_known_flow<const PLACE: usize>(
        &mut self,
        interface: usize,
        set: usize,
        key: u64,
        record: &PacketRecord,
    ) -> Option<Counters> {
        let one = Volume { packets: 1, bytes: u64::from(record.wire_len) };
        let flow = self.flows.at::<PLACE>(set);
        if !flow.fits(key) {
            return None;
        }
        let is_known = self.hosts.both(
            (flow.source, flow.destination),
            (&record.source, &record.destination),
            |source| {
                source.traffic.interval.sent += one;
                source.last = record.timestamp;
            },
            |destination| {
                destination.traffic.interval.received += one;
                destination.last = record.timestamp;
            },
        );
        if !is_known {
            return None;
        }
        match self.ports.get(flow.counters.port()) {
            Some(port) => port.interval += one,
            None => {
                self.portless[usize::from(protocol_row(record)) % PROTOCOL_ROWS] += one;
                self.without_port.interval += one;
            }
        }
        if let Some(next) = record.next_sequence()
            && flow.is_retransmission(next)
        {
            self.interfaces[interface].count_error(ErrorKind::TcpRetransmission);
        }
        flow.count(record.wire_len);
        Some(flow.counters)
    }

    /// Counts an IP packet whose flow is not remembered, and returns its cell: finds or makes
    /// the rows of its hosts and of its service port, and remembers them.
    #[inline(always)]
    fn count_new_flow(&mut self, set: usize, key: u64, record: &PacketRecord) -> Counters {
        let one = Volume { packets: 1, bytes: u64::from(record.wire_len) };
        let source = self.hosts.find(&record.source, |host| {
            host.traffic.interval.sent += one;
            host.last = record.timestamp;
            if host.local {
                host.learn_mac(record);
            }
            host.local
        });
        let (source, source_is_local) = match source {
            Ok(found) => found,
            Err(hash) => self.new_host::<false>(hash, record, 0),
        };
        let destination = self.hosts.find(&record.destination, |host| {
            host.traffic.interval.received += one;
            host.last = record.timestamp;
            host.local
        });
        let (destination, destination_is_local) = match destination {
            Ok(found) => found,
            Err(hash) => self.new_host::<true>(hash, record, source),
        };
        let port = self.ports.slot(record);
        match self.ports.get(port) {
            Some(port) => port.interval += one,
            None => {
                self.portless[usize::from(protocol_row(record)) % PROTOCOL_ROWS] += one;
                self.without_port.interval += one;
            }
        }
        let direction = Direction::of(source_is_local, destination_is_local);
        let counters = Counters::new(port, cell(record.network(), direction));
        let slots = (source, destination);
        let flow = Flow::new(key, slots, counters, record.next_sequence(), record.wire_len);
        self.flows.remember(set, flow);
        counters
    }

    /// All IP packets by the row of their protocol: those that have a port are counted with
    /// it only.
    fn protocols(&self) -> Box<[Volume; PROTOCOL_ROWS]> {
        let mut all = self.portless.clone();
        for (key, split) in self.ports.iter() {
            all[usize::from(key.transport.number())] += split.total();
        }
        all
    }

    /// Makes the row of a packet's destination, whose source has the slot `source`, or else
    /// that of its source, and counts the packet in it. Returns the slot, and whether the host
    /// is local.
    #[cold]
    #[inline(never)]
    fn new_host<const IS_DESTINATION: bool>(
        &mut self,
        hash: u32,
        record: &PacketRecord,
        source: u32,
    ) -> (u32, bool) {
        let address = if IS_DESTINATION { record.destination } else { record.source };
        let timestamp = record.timestamp;
        let mut host = Host {
            traffic: Split::default(),
            first: timestamp,
            last: timestamp,
            mac: Mac::default(),
            local: self.local.has(&address),
            born: self.hosts.evicted_by_next(),
        };
        let one = Volume { packets: 1, bytes: u64::from(record.wire_len) };
        if IS_DESTINATION {
            host.traffic.interval.received = one;
        } else {
            host.traffic.interval.sent = one;
            if host.local {
                host.learn_mac(record);
            }
        }
        let (other, fine) = (&mut self.other_hosts, &mut self.fine);
        let fold = |slot: u32, evicted: &Host| {
            other.fold(&evicted.traffic);
            fine.fold(slot);
        };
        let keep = IS_DESTINATION.then_some(source);
        (self.hosts.insert(hash, address, host, keep, fold), host.local)
    }

    /// Counts what is remarkable about a frame.
    #[cold]
    fn count_errors(&mut self, interface: usize, record: &PacketRecord) {
        let counters = &mut self.interfaces[interface];
        match record.defect() {
            Defect::None | Defect::BadChecksum => {}
            Defect::Truncated => counters.count_error(ErrorKind::Truncated),
            Defect::Malformed => counters.count_error(ErrorKind::Malformed),
        }
        if record.has_bad_checksum() {
            counters.count_error(ErrorKind::BadIpv4Checksum);
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

    /// Sets whether an interface is to be captured. While it is not, it is not capturing.
    pub fn set_watched(&mut self, interface: usize, is_watched: bool) {
        self.interfaces[interface].is_watched = is_watched;
        self.interfaces[interface].is_capturing &= is_watched;
    }

    /// Adds time in which an interface was captured to the open intervals, milliseconds.
    pub fn cover(&mut self, interface: usize, milliseconds: u64) {
        self.interfaces[interface].covered += milliseconds;
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
        self.gather();
        self.flows.clear();
        self.local = local;
    }

    /// Frames counted so far, and bytes captured of them.
    pub fn captured(&self) -> Volume {
        let packets = self.interfaces.iter().map(|i| i.total().packets).sum();
        Volume { packets, bytes: self.interfaces.iter().map(|i| i.captured_bytes).sum() }
    }

    /// What counts as inside.
    pub fn local(&self) -> &LocalNetworks {
        &self.local
    }

    /// The prefixes that count as inside.
    pub fn local_prefixes(&self) -> &[IpNet] {
        self.local.prefixes()
    }
}

#[cfg(test)]
mod tests;
