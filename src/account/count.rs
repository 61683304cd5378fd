//! Counts packet records: the hot path of the worker thread.
//!
//! A packet of a known flow costs no hash look-up: the flow cache (`flows`) holds the rows of its
//! hosts and its port. Only a new flow looks its rows up, and only a new host makes one.

use super::accounts::Accounts;
use super::flows::{Counters, Flow, Flows, NO_SLOT};
use super::host::Host;
use super::interface::{CELLS, ErrorKind, cell};
use super::local::Direction;
use super::protocols::{PROTOCOL_ROWS, protocol_row};
use super::volume::{Split, Volume};
use crate::decode::{Defect, Mac, NO_TIME, PacketRecord};

impl Accounts {
    /// Counts frames of the interface with this number. This is the hot loop.
    #[inline]
    pub fn count(&mut self, interface: usize, records: &[PacketRecord]) {
        // The span ignores frames without a time stamp.
        let mut times = records.iter().map(|r| r.timestamp).filter(|time| *time != NO_TIME);
        if let Some(last) = times.next_back() {
            if self.first == NO_TIME {
                self.first = times.next().unwrap_or(last);
            }
            self.last = last;
        }
        // Sums of this batch stay in locals and are added once.
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

    /// Counts a frame, but not in its cell: it returns that.
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
        // Only IP packets have flows, so every other frame gets here: the test can wait.
        if record.is_ip() {
            return self.count_new_flow(set, key, record);
        }
        self.ports.other.interval.count(u64::from(record.wire_len));
        Counters::new(NO_SLOT, cell(record.network(), Direction::None))
    }

    /// Counts an IP packet of the flow in this place of its set, and returns its cell. Returns
    /// `None`, and counts nothing, if another flow is there.
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
        let is_known = self.hosts.rows.both(
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
        match self.ports.rows.get(flow.counters.port()) {
            Some(port) => port.interval += one,
            None => {
                self.protocols.portless[usize::from(protocol_row(record)) % PROTOCOL_ROWS] += one;
                self.ports.other.interval += one;
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

    /// Counts an IP packet whose flow is not in the cache, and returns its cell. Finds or adds the
    /// rows of its hosts and of its service port, and caches them.
    #[inline(always)]
    fn count_new_flow(&mut self, set: usize, key: u64, record: &PacketRecord) -> Counters {
        let one = Volume { packets: 1, bytes: u64::from(record.wire_len) };
        let source = self.hosts.rows.find(&record.source, |host| {
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
        let destination = self.hosts.rows.find(&record.destination, |host| {
            host.traffic.interval.received += one;
            host.last = record.timestamp;
            host.local
        });
        let (destination, destination_is_local) = match destination {
            Ok(found) => found,
            Err(hash) => self.new_host::<true>(hash, record, source),
        };
        let port = self.ports.rows.slot(record);
        match self.ports.rows.get(port) {
            Some(port) => port.interval += one,
            None => {
                self.protocols.portless[usize::from(protocol_row(record)) % PROTOCOL_ROWS] += one;
                self.ports.other.interval += one;
            }
        }
        let direction = Direction::of(source_is_local, destination_is_local);
        let counters = Counters::new(port, cell(record.network(), direction));
        let slots = (source, destination);
        let flow = Flow::new(key, slots, counters, record.next_sequence(), record.wire_len);
        self.flows.remember(set, flow);
        counters
    }

    /// Adds the row of a packet's destination (whose source has the slot `source`) or of its
    /// source, and counts the packet in it. Returns the slot, and whether the host is local.
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
            generation: self.hosts.rows.evicted_by_next(),
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
        let keep = IS_DESTINATION.then_some(source);
        (self.hosts.insert(hash, address, host, keep), host.local)
    }

    /// Counts the errors of a remarkable frame.
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
}
