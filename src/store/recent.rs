//! The newest history, in memory: uncommitted intervals, and the tier that is kept in memory only.
//! The store thread writes it, web threads read it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Result};

use super::kind::{INTERFACE, KINDS, Key, PARTS};
use super::rows::{Cell, Interval, Row, int};
use crate::config::Tier;

/// Approximate limit of the tier in memory, bytes; the oldest intervals are dropped first.
const FINE_BYTES: usize = 1 << 20;
/// Limit of rows that wait to be committed: some hours of a busy home network.
const PENDING_ROWS: usize = 60_000;

/// The newest history.
#[derive(Default)]
pub struct Recent(Mutex<State>);

/// What a question reads besides the database, in the daemon's own process.
pub struct InMemory<'a> {
    /// The newest history.
    pub recent: &'a Recent,
    /// The tier that lives in memory only.
    pub tier: Option<&'a Tier>,
}

#[derive(Default)]
pub(super) struct State {
    /// Closed intervals of the finest stored tier that are not in the database yet.
    pub(super) pending: BTreeMap<i64, Arc<Interval>>,
    /// While those are being committed: the probe that tells whether they have been.
    pub(super) committing: Option<Probe>,
    fine: VecDeque<Packed>,
    fine_bytes: usize,
}

/// What was given up because it could not be written and memory is bounded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Lost {
    pub(super) intervals: u64,
    /// Seconds of them that had been recorded.
    pub(super) seconds: i64,
    /// Wire bytes of all interfaces.
    pub(super) bytes: u64,
    /// Starts of the oldest and the newest of them, seconds since 1970 UTC.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Lost {
    fn one(interval: &Interval) -> Lost {
        Lost {
            intervals: 1,
            seconds: interval.covered_seconds(),
            bytes: interval.rows[INTERFACE.at].0.values().map(Row::bytes).sum(),
            first: interval.start,
            last: interval.start,
        }
    }

    /// The clock was set back at `now`: what was lost later was lost `by` seconds earlier.
    pub(super) fn set_back(&mut self, now: i64, by: i64) {
        for time in [&mut self.first, &mut self.last] {
            if *time >= now {
                *time -= by;
            }
        }
        (self.first, self.last) = (self.first.min(self.last), self.first.max(self.last));
    }

    /// Adds a loss of another time.
    pub(super) fn add(&mut self, more: Lost) {
        if more.intervals == 0 {
            return;
        }
        if self.intervals == 0 {
            *self = more;
            return;
        }
        self.intervals += more.intervals;
        self.seconds += more.seconds;
        self.bytes += more.bytes;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

/// Distinguishes a state of the database before a commit from one after it, by an interval of the
/// finest tier that is there only after. So the lock need not be held while the disk writes.
#[derive(Clone, Copy)]
pub(super) struct Probe {
    tier: i64,
    start: i64,
}

impl Probe {
    /// A probe for a commit of these intervals: the newest one that is not there yet. `None` if all
    /// are, as when the minute of a restart gets its second part.
    pub(super) fn new(
        connection: &Connection,
        tier: i64,
        intervals: &[&Interval],
    ) -> Result<Option<Probe>> {
        for interval in intervals.iter().rev() {
            let probe = Probe { tier, start: interval.start };
            if !probe.is_there(connection)? {
                return Ok(Some(probe));
            }
        }
        Ok(None)
    }

    /// Whether the interval is there.
    pub(super) fn is_there(&self, connection: &Connection) -> Result<bool> {
        let table = INTERFACE.table(self.tier);
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE start = ?1)");
        connection.prepare_cached(&sql)?.query_row([self.start], |row| row.get(0))
    }
}

impl Recent {
    /// Locks the state, for a short time; while the disk writes only if a commit has no probe.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The waiting intervals that are not in the database as this connection sees it. Its
    /// transaction must have begun to read.
    pub(super) fn waiting(&self, connection: &Connection) -> Result<Vec<Arc<Interval>>> {
        let is_written = self.committing.map(|probe| probe.is_there(connection)).transpose()?;
        Ok(match is_written {
            Some(true) => Vec::new(),
            _ => self.pending.values().cloned().collect(),
        })
    }

    /// Adds a closed interval. Returns what was dropped to make room.
    pub(super) fn add(&mut self, interval: Interval) -> Lost {
        match self.pending.entry(interval.start) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Arc::new(interval));
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                Arc::make_mut(place.get_mut()).add(interval);
            }
        }
        let mut rows = self.rows();
        let mut lost = Lost::default();
        while rows > PENDING_ROWS && self.pending.len() > 1 {
            let Some((_, gone)) = self.pending.pop_first() else { break };
            rows -= gone.len();
            lost.add(Lost::one(&gone));
        }
        lost
    }

    fn rows(&self) -> usize {
        self.pending.values().map(|interval| interval.len()).sum()
    }

    /// Whether so much waits that it should be committed now.
    pub(super) fn is_much(&self) -> bool {
        self.rows() > PENDING_ROWS / 2
    }

    /// Adds an interval to the tier in memory, which keeps `most`.
    pub(super) fn add_fine(&mut self, interval: &Interval, most: usize) {
        let packed = Packed::new(interval);
        self.fine_bytes += packed.size();
        self.fine.push_back(packed);
        while self.fine.len() > most || self.fine_bytes > FINE_BYTES {
            let Some(gone) = self.fine.pop_front() else { break };
            self.fine_bytes -= gone.size();
        }
    }

    /// The clock was set back: moves what is dated `now` or later back by `by` seconds.
    pub(super) fn set_back(&mut self, now: i64, by: i64, seconds: i64) {
        let aligned = (by + seconds / 2).div_euclid(seconds) * seconds;
        let later = self.pending.split_off(&(now.div_euclid(seconds) * seconds));
        for (start, mut interval) in later {
            Arc::make_mut(&mut interval).start = start - aligned;
            let _ = self.add(Arc::unwrap_or_clone(interval));
        }
        for packed in self.fine.iter_mut().filter(|packed| packed.start >= now) {
            packed.start -= by;
        }
    }

    /// Changes the numbers of interfaces, from old to new.
    pub(super) fn renumber(&mut self, numbers: &HashMap<i64, i64>) {
        if numbers.is_empty() {
            return;
        }
        self.pending.values_mut().for_each(|interval| Arc::make_mut(interval).renumber(numbers));
        for packed in &mut self.fine {
            let mut interval = packed.unpack();
            interval.renumber(numbers);
            *packed = Packed::new(&interval);
        }
    }

    /// The intervals of the tier in memory from `from` up to `to`, in the order of time.
    pub(super) fn fine(&self, from: i64, to: i64) -> Vec<Packed> {
        let within = self.fine.iter().filter(|packed| (from..to).contains(&packed.start));
        let mut within: Vec<Packed> = within.cloned().collect();
        within.sort_by_key(|packed| packed.start);
        within
    }

    /// Start of the oldest interval of the tier in memory.
    pub(super) fn fine_since(&self) -> Option<i64> {
        self.fine.iter().map(|packed| packed.start).min()
    }
}

/// A compact interval: its numbers in groups of seven bits (LEB128). Rates are left out: in a
/// finest interval they follow from the bytes.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) start: i64,
    bytes: Arc<[u8]>,
}

impl Packed {
    fn size(&self) -> usize {
        // Includes the allocator's overhead.
        self.bytes.len() + size_of::<Packed>() + 16
    }

    fn new(interval: &Interval) -> Packed {
        let mut bytes = Vec::new();
        let mut put = |mut number: u64| {
            while number >= 0x80 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
        };
        for (kind, rows) in KINDS.into_iter().zip(&interval.rows) {
            put(rows.0.len() as u64);
            for (key, row) in &rows.0 {
                // Zigzag, so that small negative numbers stay short.
                key[..kind.keys.len()]
                    .iter()
                    .for_each(|part| put(((part << 1) ^ (part >> 63)).cast_unsigned()));
                row.cells.iter().for_each(|cell| {
                    put(cell.packets);
                    put(cell.bytes);
                });
                row.extras.iter().for_each(|extra| put(extra.cast_unsigned()));
            }
        }
        Packed { start: interval.start, bytes: bytes.into() }
    }

    pub(super) fn unpack(&self) -> Interval {
        let mut at = 0;
        let mut next = || {
            let (mut number, mut shift) = (0u64, 0);
            loop {
                let byte = self.bytes[at];
                at += 1;
                number |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return number;
                }
            }
        };
        let mut interval = Interval { start: self.start, ..Interval::default() };
        for kind in KINDS {
            for _ in 0..next() {
                let mut key: Key = [0; PARTS];
                for part in key.iter_mut().take(kind.keys.len()) {
                    let number = next();
                    *part = (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
                }
                let mut cells = Vec::with_capacity(kind.ways.len());
                for _ in kind.ways {
                    let (packets, bytes) = (next(), next());
                    cells.push(Cell { packets, bytes, least: bytes, greatest: bytes });
                }
                let extras = kind.extras.iter().map(|_| int(next())).collect();
                interval.rows[kind.at].add(kind, key, Row { cells, extras, parts: 1 });
            }
        }
        interval
    }
}
