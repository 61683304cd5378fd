//! Reads the rows of a question, and adds them up to an answer. Runs on the thread that asks.
//!
//! Theory of operation. A span may hold any number of rows, and an answer names few of them. So the
//! rows are read in passes, each of which needs little memory: the interfaces, for totals and
//! coverage; the bytes of each row, to find the busiest ([`busiest`]); and those few by point.
//! "Other" is the total minus these.

use std::cmp::Reverse;
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::busiest::busiest;
use super::error::Error;
use super::grid::Grid;
use super::kind::{HOST, INTERFACE, Key, Kind, SERVICE, Stored, key_address, key_service};
use super::numbers::Numbers;
use super::question::{Answer, Cell, Label, Line, Point, Question};
use super::rows::Row;
use super::scan::{Memory, Only, Scan};
use super::series::{Cells, Series};
use super::sums::{Sums, no_least};
use super::wanted::Meant;

/// Rows that an answer names at most, whatever was asked for.
pub const ROWS_MOST: usize = 5_000;
/// Points of all rows of an answer together, at most: 20 bytes each.
const ENTRIES_MOST: usize = 220_000;
/// Up to this many rows are looked up one by one; for more, all rows are read.
const LOOKED_UP: usize = 32;

/// An answer in progress.
pub(super) struct Reading<'a> {
    scan: Scan<'a>,
    question: &'a Question,
    wanted: Only<'static>,
    /// By point: milliseconds covered, and intervals.
    covered: Vec<u64>,
    intervals: Vec<u32>,
}

impl<'a> Reading<'a> {
    /// # Errors
    /// An error of SQLite.
    pub(super) fn new(
        connection: &'a Connection,
        memory: &'a Memory,
        question: &'a Question,
        grid: &'a Grid,
        meant: &Meant,
    ) -> rusqlite::Result<Reading<'a>> {
        let points = grid.bounds.len() - 1;
        let (covered, intervals) = (vec![0; points], vec![0; points]);
        let numbers = Numbers::new(connection);
        let wanted = meant.only(question.kind, &numbers)?;
        let scan = Scan { connection, grid, memory, numbers };
        Ok(Reading { scan, question, wanted, covered, intervals })
    }

    /// Answers the question. `failed` makes an error of SQLite's one.
    pub(super) fn answer(
        mut self,
        failed: &dyn Fn(rusqlite::Error) -> Error,
    ) -> Result<Answer, Error> {
        let kind = self.question.kind;
        let (mut total, not_ip) = self.read_interfaces().map_err(failed)?;
        if let Only::Services { host: Some(host), .. } = self.wanted {
            total = self.read_host(host).map_err(failed)?;
        }
        let grid = self.scan.grid;
        let (shown, keys, count) = self.shown().map_err(failed)?;
        let (sums, none) =
            self.read_shown(&shown).map_err(failed)?.ok_or(Error::Rows { most: ENTRIES_MOST })?;
        let mut rows = Vec::with_capacity(keys.len());
        for (key, sums) in keys.iter().zip(sums) {
            let label = self.label(key, &sums).map_err(failed)?;
            rows.push(self.line(label, sums));
        }
        let none = match (kind == &SERVICE, &self.wanted) {
            (true, Only::Services { host: Some(_), .. }) => empty(Label::None, kind),
            (true, _) => not_ip,
            (false, _) => self.line(Label::None, none),
        };
        let other = self.other(&rows, &none, &total);
        let spans = grid.bounds.windows(2).zip(&self.covered);
        let points: Vec<Point> =
            spans.map(|(b, covered)| Point { start: b[0], end: b[1], covered: *covered }).collect();
        Ok(Answer {
            kind,
            tier: grid.tier.clone(),
            step: grid.step.and_then(|step| u32::try_from(step).ok()),
            from: grid.bounds[0],
            to: grid.bounds[points.len()],
            points,
            rows,
            keys,
            count,
            other,
            none,
            total,
            approximate_before: grid.approximate_before,
            widened: grid.widened.and_then(|seconds| u32::try_from(seconds).ok()),
            kept_since: grid.kept_since,
            recorded_until: grid.recorded_until,
        })
    }

    /// The rows to show: their keys as in the tables and with addresses; and how many there are.
    fn shown(&self) -> rusqlite::Result<(Vec<Stored>, Vec<Key>, usize)> {
        let (kind, numbers) = (self.question.kind, &self.scan.numbers);
        if let Some(keys) = &self.question.rows {
            let stored: rusqlite::Result<_> =
                keys.iter().map(|key| numbers.stored(kind, key)).collect();
            return Ok((stored?, keys.clone(), keys.len()));
        }
        let top = match self.question.top {
            0 => ROWS_MOST,
            top => top.min(ROWS_MOST),
        };
        let found = busiest(top, |visit| {
            self.scan.each_bytes(kind, &self.wanted, &mut |key, bytes| {
                if !kind.is_rest(key[0]) {
                    visit(key, bytes);
                }
            })
        })?;
        let mut rows = Vec::with_capacity(found.rows.len());
        for (bytes, stored) in found.rows {
            rows.push((Reverse(bytes), numbers.key(kind, &stored)?, stored));
        }
        // Ties by address, not by number.
        rows.sort_unstable();
        let (stored, keys) = rows.into_iter().map(|(_, key, stored)| (stored, key)).unzip();
        Ok((stored, keys, found.count))
    }

    /// Reads the interfaces: a line of every frame, a line of frames that are not IP, and the
    /// coverage of each point. Where a kind has two ways, both cells hold the same.
    fn read_interfaces(&mut self) -> rusqlite::Result<(Line, Line)> {
        let kind = self.question.kind;
        let is_interfaces = kind == &INTERFACE;
        let ways = kind.ways.len();
        let (mut total, mut not_ip) = (empty(Label::Total, kind), empty(Label::None, kind));
        // The point that is being read, by interface. Milliseconds covered are the first extra,
        // frames lost the second.
        let mut open: Option<usize> = None;
        let mut parts: HashMap<i64, Row> = HashMap::new();
        let mut seen = None;
        let covered = &mut self.covered;
        let mut close = |point: usize, parts: &mut HashMap<i64, Row>| {
            let mut cells = Cells::new(ways);
            let mut none = Cells::new(ways);
            let (mut longest, mut dropped) = (0, 0);
            for (_, row) in parts.drain() {
                longest = longest.max(row.extras[0].cast_unsigned());
                dropped += row.extras[1].cast_unsigned();
                if is_interfaces {
                    add_all(cells.as_mut(), &row.cells);
                } else {
                    add_all(cells.as_mut(), &vec![sum_of(&row.cells); ways]);
                    add_all(none.as_mut(), &vec![row.cells[4]; ways]);
                }
            }
            covered[point] = longest;
            total.series.push(point, &cells);
            if is_interfaces {
                total.dropped_series.push(dropped);
                total.dropped += dropped;
            }
            if none.iter().any(|cell| cell.packets > 0) {
                not_ip.series.push(point, &none);
            }
        };
        let (grid, intervals) = (self.scan.grid, &mut self.intervals);
        // The whole span by interface; its rates are the least and the greatest of its points.
        let mut whole: HashMap<i64, Row> = HashMap::new();
        self.scan.each(&INTERFACE, &Only::All, |source, start, key, row| {
            let Some(point) = grid.point(start) else { return };
            if open != Some(point) {
                if let Some(open) = open {
                    close(open, &mut parts);
                }
                open = Some(point);
            }
            merge(parts.entry(key[0]), row);
            merge(whole.entry(key[0]), row);
            if seen != Some((source, start)) {
                seen = Some((source, start));
                intervals[point] += 1;
            }
        })?;
        if let Some(open) = open {
            close(open, &mut parts);
        }
        for (_, row) in whole {
            if is_interfaces {
                add_all(&mut total.total, &row.cells);
            } else {
                add_all(&mut total.total, &vec![sum_of(&row.cells); ways]);
                add_all(&mut not_ip.total, &vec![row.cells[4]; ways]);
            }
        }
        Ok((total, not_ip))
    }

    /// The whole traffic of the host with this number.
    fn read_host(&self, host: i64) -> rusqlite::Result<Line> {
        // A host's own rows have its address.
        let key = self.scan.numbers.key(&SERVICE, &[host, 0, 0])?;
        let key = self.scan.numbers.stored(&HOST, &key)?;
        let mut sums = Sums::default();
        self.scan.each(&HOST, &Only::Keys([key][..].into()), |_, start, found, row| {
            if let Some(point) = self.scan.grid.point(start).filter(|_| found == key) {
                sums.add(&HOST, row, point, Some(&self.intervals));
            }
        })?;
        Ok(self.line(Label::Total, sums))
    }

    /// Reads these rows and the kind's "none", by point; `None` if there are too many points.
    fn read_shown(&self, keys: &[Stored]) -> rusqlite::Result<Option<(Vec<Sums>, Sums)>> {
        let kind = self.question.kind;
        let places: HashMap<Stored, usize> =
            keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let mut sums: Vec<Sums> = Vec::new();
        sums.resize_with(keys.len(), Sums::default);
        let mut none = Sums::default();
        let grid = self.scan.grid;
        let intervals = (kind != &INTERFACE).then_some(&self.intervals[..]);
        let few = Only::Keys(keys.into());
        let only = if keys.len() <= LOOKED_UP { &few } else { &self.wanted };
        let mut entries = 0;
        self.scan.each(kind, only, |_, start, key, row| {
            let Some(point) = grid.point(start).filter(|_| entries <= ENTRIES_MOST) else { return };
            let row_sums = match places.get(&key) {
                Some(at) => &mut sums[*at],
                None if kind.is_none(key[0]) => &mut none,
                None => return,
            };
            let before = row_sums.series.len();
            row_sums.add(kind, row, point, intervals);
            entries += row_sums.series.len() - before;
        })?;
        if entries > ENTRIES_MOST {
            return Ok(None);
        }
        Ok(Some((sums, none)))
    }

    fn label(&self, key: &Key, row: &Sums) -> rusqlite::Result<Label> {
        let kind = self.question.kind;
        if kind == &INTERFACE {
            let sql = "SELECT name FROM interface_name WHERE id = ?1";
            let found =
                self.scan.connection.query_row(sql, [key[0]], |row| row.get(0)).optional()?;
            return Ok(Label::Interface(found.unwrap_or_else(|| key[0].to_string())));
        }
        let Some(address) = key_address(key).filter(|_| [&HOST, &SERVICE].contains(&kind)) else {
            return Ok(Label::of_key(kind, key).unwrap_or(Label::Other));
        };
        let sql = "SELECT mac FROM host_mac WHERE family = ?1 AND high = ?2 AND low = ?3";
        let mut statement = self.scan.connection.prepare_cached(sql)?;
        let mac = statement.query_row([key[0], key[1], key[2]], |row| row.get(0)).optional()?;
        let is_local = row.extras[0] == 1;
        if kind == &HOST {
            return Ok(Label::Host(address, mac, is_local));
        }
        let (protocol, port) = key_service(key[3]).unwrap_or_default();
        Ok(Label::Service(address, mac, is_local, protocol, port))
    }

    /// Makes a line of a row. In intervals without it, it was silent, unless it is an interface.
    fn line(&self, label: Label, mut row: Sums) -> Line {
        let kind = self.question.kind;
        let is_interface = kind == &INTERFACE;
        row.close(kind, (!is_interface).then_some(&self.intervals));
        if row.parts == 0 {
            return empty(label, kind);
        }
        if !is_interface && row.parts < self.intervals.iter().sum() {
            no_least(row.total.as_mut());
        }
        Line {
            label,
            total: row.total.to_vec(),
            dropped: if is_interface { row.extras[1].cast_unsigned() } else { 0 },
            series: row.series,
            dropped_series: if is_interface { row.dropped } else { Vec::new() },
        }
    }

    /// The total minus all lines.
    fn other(&self, lines: &[Line], none: &Line, total: &Line) -> Line {
        let kind = self.question.kind;
        let ways = kind.ways.len();
        let mut other = empty(Label::Other, kind);
        other.total.clone_from(&total.total);
        other.dropped = total.dropped;
        let mut left = vec![Cell::default(); self.intervals.len() * ways];
        let mut dropped = vec![0_u64; self.intervals.len()];
        for (point, cells) in total.series.iter() {
            left[point * ways..][..ways].copy_from_slice(&cells);
        }
        for ((point, _), lost) in total.series.iter().zip(&total.dropped_series) {
            dropped[point] = *lost;
        }
        for line in lines.iter().chain([none]) {
            take_away(&mut other.total, &line.total);
            other.dropped = other.dropped.saturating_sub(line.dropped);
            for (point, cells) in line.series.iter() {
                take_away(&mut left[point * ways..][..ways], &cells);
            }
            for ((point, _), lost) in line.series.iter().zip(&line.dropped_series) {
                dropped[point] = dropped[point].saturating_sub(*lost);
            }
        }
        let no_rates = |cell: &mut Cell| (cell.least, cell.greatest) = (0, 0);
        other.total.iter_mut().chain(&mut left).for_each(no_rates);
        for (point, _) in total.series.iter() {
            let cells = &left[point * ways..][..ways];
            if dropped[point] > 0 || cells.iter().any(|cell| cell.packets > 0) {
                other.series.push(point, cells);
                if kind == &INTERFACE {
                    other.dropped_series.push(dropped[point]);
                }
            }
        }
        other
    }
}

/// Adds a part of an interface to its sum.
fn merge(place: std::collections::hash_map::Entry<'_, i64, Row>, row: &Row) {
    match place {
        std::collections::hash_map::Entry::Vacant(place) => {
            place.insert(row.clone());
        }
        std::collections::hash_map::Entry::Occupied(mut place) => {
            let known = place.get_mut();
            known.cells.iter_mut().zip(&row.cells).for_each(|(sum, more)| sum.add(more));
            known.extras.iter_mut().zip(&row.extras).for_each(|(sum, more)| *sum += more);
        }
    }
}

/// The sum of cells that count at the same time: their true rates are between the sums.
fn sum_of(cells: &[Cell]) -> Cell {
    cells.iter().fold(Cell::default(), |sum, cell| Cell {
        packets: sum.packets + cell.packets,
        bytes: sum.bytes + cell.bytes,
        least: sum.least + cell.least,
        greatest: sum.greatest + cell.greatest,
    })
}

fn add_all(sums: &mut [Cell], more: &[Cell]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum_of(&[*sum, *more]);
    }
}

fn take_away(sums: &mut [Cell], less: &[Cell]) {
    for (sum, less) in sums.iter_mut().zip(less) {
        sum.packets = sum.packets.saturating_sub(less.packets);
        sum.bytes = sum.bytes.saturating_sub(less.bytes);
    }
}

fn empty(label: Label, kind: &Kind) -> Line {
    Line {
        label,
        total: vec![Cell::default(); kind.ways.len()],
        dropped: 0,
        series: Series::default(),
        dropped_series: Vec::new(),
    }
}
