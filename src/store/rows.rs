//! Rows of an interval in memory, and their sums.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::kind::{
    DEVICE, HOST, INTERFACE, KINDS, Key, Kind, NONE, OTHER, PORT, PROTOCOL, SERVICE, addr_key,
    key_of, port_key, service_key,
};
use crate::account::{ClosedInterval, Rates, Volume};

/// One counter of a row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cell {
    /// Packets or frames.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// The least rate of the finest intervals within, bytes a second.
    pub least: u64,
    /// The greatest rate of the finest intervals within, bytes a second.
    pub greatest: u64,
}

impl Cell {
    /// A volume and the rates within it.
    pub fn new(volume: Volume, rates: Rates) -> Cell {
        let Volume { packets, bytes } = volume;
        Cell { packets, bytes, least: rates.least, greatest: rates.greatest }
    }

    /// Adds another counter of the same row, from another time or another part.
    pub fn add(&mut self, more: &Cell) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.least = self.least.min(more.least);
        self.greatest = self.greatest.max(more.greatest);
    }

    /// Adds a counter of a row that is folded into this one. Their rates are not of the same moment
    /// and do not add up; the greatest single one is kept.
    pub fn fold(&mut self, more: &Cell) {
        let least = self.least.max(more.least);
        self.add(more);
        self.least = least;
    }
}

/// What a row holds besides its key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// One for each of the kind's ways.
    pub cells: Vec<Cell>,
    /// One for each of the kind's extras.
    pub extras: Vec<i64>,
    /// The number of finer rows that it is the sum of.
    pub parts: u32,
}

impl Row {
    /// Bytes of all ways, by which rows are sorted.
    pub fn bytes(&self) -> u64 {
        self.cells.iter().map(|cell| cell.bytes).sum()
    }

    /// Whether all counters and extras are 0.
    fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.packets == 0 && cell.bytes == 0)
            && self.extras.iter().all(|extra| *extra == 0)
    }

    fn add_extras(&mut self, kind: &Kind, more: &Row) {
        for ((extra, more), column) in self.extras.iter_mut().zip(&more.extras).zip(kind.extras) {
            *extra = if column.is_sum { *extra + more } else { (*extra).max(*more) };
        }
    }
}

/// The rows of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rows(pub BTreeMap<Key, Row>);

impl Rows {
    /// Adds a row to the one of the same key, if there is one.
    pub fn add(&mut self, kind: &Kind, key: Key, row: Row) {
        if row.is_empty() {
            return;
        }
        match self.0.entry(key) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(row);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let known = place.get_mut();
                for (cell, more) in known.cells.iter_mut().zip(&row.cells) {
                    cell.add(more);
                }
                known.add_extras(kind, &row);
                known.parts += row.parts;
            }
        }
    }

    /// Sets the least rate of rows that were absent from some of `intervals` to 0.
    pub fn note_absences(&mut self, intervals: u32) {
        for row in self.0.values_mut().filter(|row| row.parts < intervals) {
            for cell in &mut row.cells {
                cell.least = 0;
            }
        }
    }

    /// Keeps the `most` busiest rows and folds the others into "other". Half of the places are set
    /// aside for local hosts.
    pub fn keep_busiest(&mut self, kind: &Kind, most: usize) {
        if !kind.has_other {
            return;
        }
        let other = key_of([OTHER]);
        let named = self.0.keys().filter(|key| !kind.is_rest(key[0])).count();
        if named <= most {
            return;
        }
        let is_local = |row: &Row| kind == &HOST && row.extras.first() == Some(&1);
        let mut order: Vec<(bool, Reverse<u64>, Key)> = self
            .0
            .iter()
            .filter(|(key, _)| !kind.is_rest(key[0]))
            .map(|(key, row)| (!is_local(row), Reverse(row.bytes()), *key))
            .collect();
        order.sort_unstable();
        let set_aside = order.iter().take_while(|(remote, ..)| !remote).count().min(most / 2);
        order[set_aside..].sort_unstable_by_key(|(_, bytes, key)| (*bytes, *key));
        let mut folded = Row {
            cells: vec![Cell::default(); kind.ways.len()],
            extras: vec![0; kind.extras.len()],
            parts: 1,
        };
        for (_, _, key) in &order[most..] {
            if let Some(row) = self.0.remove(key) {
                for (cell, more) in folded.cells.iter_mut().zip(&row.cells) {
                    cell.fold(more);
                }
            }
        }
        match self.0.get_mut(&other) {
            Some(known) => {
                for (cell, more) in known.cells.iter_mut().zip(&folded.cells) {
                    cell.fold(more);
                }
            }
            None => {
                self.0.insert(other, folded);
            }
        }
    }
}

/// All rows of one interval.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    /// When it began, seconds since 1970 UTC.
    pub start: i64,
    /// By [`KINDS`].
    pub rows: [Rows; KINDS.len()],
}

impl Interval {
    /// Whole seconds of it in which at least one interface was captured.
    pub fn covered_seconds(&self) -> i64 {
        let rows = self.rows[INTERFACE.at].0.values();
        rows.filter_map(|row| row.extras.first()).max().map_or(0, |covered| covered / 1_000)
    }

    /// Converts an interval from the worker. `interface` returns an interface's key.
    pub fn new(closed: &ClosedInterval, mut interface: impl FnMut(&str) -> i64) -> Interval {
        let mut interval = Interval { start: closed.start, ..Interval::default() };
        // Rates are over the time that was captured, as in the other rows.
        let covered = closed.covered();
        let steady = |volume: Volume| Cell::new(volume, Rates::steady(volume.bytes, covered));
        let mut put = |kind: &'static Kind, key: Key, cells: &[Cell], extras: &[i64]| {
            let row = Row { cells: cells.to_vec(), extras: extras.to_vec(), parts: 1 };
            interval.rows[kind.at].add(kind, key, row);
        };
        for i in &closed.interfaces {
            let cells: Vec<Cell> =
                i.directions.iter().zip(i.rates).map(|(v, rates)| Cell::new(*v, rates)).collect();
            let extras = [int(i.covered), int(i.dropped)];
            put(&INTERFACE, key_of([interface(&i.name)]), &cells, &extras);
        }
        for host in &closed.hosts {
            let (received, sent) = (host.traffic.received, host.traffic.sent);
            let cells = [Cell::new(received, host.rates[0]), Cell::new(sent, host.rates[1])];
            put(&HOST, addr_key(&host.address), &cells, &[i64::from(host.local)]);
        }
        let not_ip = steady(closed.not_ip());
        let other = [steady(closed.other_hosts.received), steady(closed.other_hosts.sent)];
        put(&HOST, key_of([OTHER]), &other, &[0]);
        put(&HOST, key_of([NONE]), &[not_ip, not_ip], &[0]);
        for row in &closed.ports {
            put(&PORT, port_key(row.transport, row.port), &[Cell::new(row.volume, row.rates)], &[]);
        }
        put(&PORT, key_of([OTHER]), &[steady(closed.other_ports)], &[]);
        put(&PORT, key_of([NONE]), &[steady(closed.without_port)], &[]);
        for row in &closed.protocols {
            let cell = Cell::new(row.volume, row.rates);
            put(&PROTOCOL, key_of([i64::from(row.number)]), &[cell], &[]);
        }
        put(&PROTOCOL, key_of([NONE]), &[not_ip], &[]);
        for row in &closed.services {
            let [family, high, low, ..] = addr_key(&row.address);
            let key = key_of([family, high, low, service_key(row.service)]);
            let (received, sent) = (row.traffic.received, row.traffic.sent);
            let cells = [Cell::new(received, row.rates[0]), Cell::new(sent, row.rates[1])];
            put(&SERVICE, key, &cells, &[i64::from(row.local)]);
        }
        interval
    }

    /// Adds another interval: of the same time, or a finer one within.
    pub fn add(&mut self, more: Interval) {
        for (kind, rows) in KINDS.into_iter().zip(more.rows) {
            for (key, row) in rows.0 {
                self.rows[kind.at].add(kind, key, row);
            }
        }
    }

    /// Changes the numbers of interfaces, from old to new.
    pub(super) fn renumber(&mut self, numbers: &HashMap<i64, i64>) {
        let rows = std::mem::take(&mut self.rows[INTERFACE.at]);
        for (mut key, row) in rows.0 {
            key[0] = numbers.get(&key[0]).copied().unwrap_or(key[0]);
            self.rows[INTERFACE.at].add(&INTERFACE, key, row);
        }
    }

    /// The number of rows of all kinds.
    pub fn len(&self) -> usize {
        self.rows.iter().map(|rows| rows.0.len()).sum()
    }

    /// Keeps the busiest rows of each bounded kind.
    pub fn keep_busiest(&mut self, limits: Limits) {
        self.rows[HOST.at].keep_busiest(&HOST, limits.hosts);
        self.rows[DEVICE.at].keep_busiest(&DEVICE, limits.hosts);
        self.rows[PORT.at].keep_busiest(&PORT, limits.ports);
        self.keep_busiest_services(limits.services);
    }

    /// Keeps the `most` busiest services of the hosts that have rows. The others become the "other"
    /// of their hosts, which has no row. Services of remote hosts do not arrive here: see
    /// [`ClosedInterval::keep_busiest`].
    fn keep_busiest_services(&mut self, most: usize) {
        let [.., hosts, _, _, _, services] = &mut self.rows;
        services.0.retain(|key, _| hosts.0.contains_key(&key_of([key[0], key[1], key[2]])));
        if services.0.len() <= most {
            return;
        }
        let mut order: Vec<(Reverse<u64>, Key)> =
            services.0.iter().map(|(key, row)| (Reverse(row.bytes()), *key)).collect();
        order.sort_unstable();
        for (_, key) in &order[most..] {
            services.0.remove(key);
        }
    }
}

/// Limits of the rows that are named in an interval; the others are folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Hosts, and devices.
    pub hosts: usize,
    /// Ports.
    pub ports: usize,
    /// Services of hosts, all hosts together.
    pub services: usize,
}

/// SQLite's integers are signed; 2^63 bytes are 29 years at 100 Gbit/s.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
