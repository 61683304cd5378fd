//! Reading the history: a question to an answer.
//!
//! Theory of operation. The span of a question is divided into points, and covered with
//! segments, each read from one tier: whole days from the day tier, what is left at the
//! ends from finer ones ([`Grid::cover`]). The open interval of a coarse tier may be behind
//! the finer rows and is always read from those. What has not been committed yet comes
//! from memory; the lock on it is held while the database's state for this question is
//! fixed, so that nothing is missed or seen twice.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::kind::{INTERFACE, Key, Kind, host_key, port_key};
use super::question::{Answer, Cell, Label, Line, Point, Question, Step, Which};
use super::recent::Recent;
use super::rows::{Interval, Row};
use super::schema::{APPLICATION_ID, VERSION};
use super::tiers::{self, StoredTier, first, newest, read_row};
use crate::config::Tier;
use crate::failure::{Exit, Failure};

/// Series that are held while reading, in points; beyond that the busiest rows are found
/// first and their series read after.
const SERIES_HELD: usize = 150_000;

/// The history, opened for reading only.
pub struct History {
    connection: Connection,
    path: PathBuf,
}

/// The newest history, which only the daemon's own process sees.
pub struct Fresh<'a> {
    /// What is not in the database.
    pub recent: &'a Recent,
    /// The tier that lives in memory only.
    pub in_memory: Option<&'a Tier>,
}

impl History {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// There is none, it may not be read, or it is another program's or a newer version's.
    pub fn open(path: &Path) -> Result<History, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let shown = path.display();
        let no_input = |text: &str| Err(Failure::new(Exit::NoInput, format!("{shown}: {text}")));
        if !path.exists() {
            return no_input(
                "no such database; start brightstat, which makes it, or name another with \
                 --database or history.database",
            );
        }
        if path.is_dir() {
            return no_input("is a directory; name the file in it");
        }
        let failed = |e: rusqlite::Error| match e.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Failure::new(
                Exit::Permission,
                format!("{shown}: you may not read this database; try sudo"),
            ),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Failure::new(
                Exit::Data,
                format!(
                    "{shown}: not a sound database ({e}); name another with --database or \
                     history.database, or restore a backup"
                ),
            ),
            _ => Failure::new(Exit::Io, format!("{shown}: {e}")),
        };
        let open = |name: &str| -> rusqlite::Result<(Connection, i32, i32)> {
            let connection = Connection::open_with_flags(name, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            let number = |pragma: &str| {
                connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
            };
            let (id, version) = (number("application_id")?, number("user_version")?);
            Ok((connection, id, version))
        };
        let plain = path.to_string_lossy();
        let result = open(&plain).or_else(|e| {
            // Readers in WAL mode share a file with the writer. Where that cannot be made
            // and nobody writes, the database is read as it lies there.
            let is_idle = !PathBuf::from(format!("{plain}-wal")).exists();
            if is_idle && e.sqlite_error_code() == Some(ErrorCode::CannotOpen) {
                open(&format!("file:{}?immutable=1", percent(&plain)))
            } else {
                Err(e)
            }
        });
        let (connection, id, version) = result.map_err(failed)?;
        if id != APPLICATION_ID || version < 1 {
            return Err(Failure::new(
                Exit::Data,
                format!(
                    "{shown}: this is not a database of brightstat; name another with --database \
                     or history.database"
                ),
            ));
        }
        if version != VERSION {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "{shown}: has schema {version}, this brightstat knows {VERSION}; use the version \
                     of the daemon"
                ),
            ));
        }
        connection.pragma_update(None, "cache_size", -1_024).map_err(failed)?;
        Ok(History { connection, path: path.to_owned() })
    }

    /// The connection, which can only read.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Answers a question; with `fresh`, from what has not been committed yet as well.
    ///
    /// # Errors
    /// A tier or a row of that name is not there, or the file cannot be read.
    pub fn ask(&self, question: &Question, fresh: Option<Fresh<'_>>) -> Result<Answer, Failure> {
        let failed =
            |e: rusqlite::Error| Failure::new(Exit::Io, format!("{}: {e}", self.path.display()));
        let connection = &self.connection;
        // The lock goes when the state of the database is fixed by the first read.
        let state = fresh.as_ref().map(|fresh| fresh.recent.lock());
        connection.execute_batch("BEGIN").map_err(failed)?;
        let stored = tiers::stored(connection).map_err(failed);
        let (mut pending, mut fine) = (Vec::new(), Vec::new());
        let mut fine_tier = None;
        if let Some(state) = &state {
            pending = state.pending.values().cloned().collect();
            let tier = fresh.as_ref().and_then(|fresh| fresh.in_memory);
            if let Some(tier) = tier.filter(|tier| wants_fine(question, tier, state.fine_since())) {
                fine = state.fine(question.from, question.to).collect();
                fine_tier = Some(tier);
            }
        }
        drop(state);
        let answer = stored.and_then(|stored| {
            let grid = match fine_tier {
                Some(tier) => Grid::fine(question, tier)?,
                None => {
                    let newest_pending = pending.last().map(|interval: &Interval| interval.start);
                    Grid::new(connection, stored, question, newest_pending, fresh.as_ref())
                        .map_err(failed)??
                }
            };
            let only = question.only.as_ref().map(|which| self.key_of(which)).transpose()?;
            let memory = if fine_tier.is_some() { &fine } else { &pending };
            let mut reading = Reading::new(question, &grid, only);
            reading.read(connection, memory).map_err(failed)?;
            reading.answer(connection, memory).map_err(failed)
        });
        let _ = connection.execute_batch("COMMIT");
        answer
    }

    fn key_of(&self, which: &Which) -> Result<Key, Failure> {
        Ok(match which {
            Which::Host(address) => host_key(*address),
            Which::Port(transport, port) => port_key(*transport, *port),
            Which::Protocol(number) => [i64::from(*number), 0, 0],
            Which::Interface(name) => {
                let sql = "SELECT id FROM interface_name WHERE name = ?1";
                let found = self.connection.query_row(sql, [name], |row| row.get(0)).optional();
                let unknown = || {
                    Failure::new(
                        Exit::NoInput,
                        format!(
                            "there is no interface '{name}' in the history; see 'brightstat query interfaces'"
                        ),
                    )
                };
                [found.ok().flatten().ok_or_else(unknown)?, 0, 0]
            }
        })
    }
}

/// Whether a question is answered from the tier in memory.
fn wants_fine(question: &Question, tier: &Tier, since: Option<i64>) -> bool {
    match &question.step {
        Step::Tier(name) => *name == tier.name,
        Step::Auto(points) => {
            let span = question.from..question.to;
            points_of(&span, i64::from(tier.seconds)) <= *points as i64
                && since.is_some_and(|since| since <= question.from)
        }
        Step::Whole | Step::Days(_) => false,
    }
}

/// There is no tier of that name: which there are.
fn no_tier(name: &str, tiers: &[StoredTier], fresh: Option<&Fresh<'_>>) -> Failure {
    let in_memory = fresh.and_then(|fresh| fresh.in_memory).map(|tier| tier.name.as_str());
    let stored = tiers.iter().map(|tier| tier.name.as_str());
    let names: Vec<&str> = in_memory.into_iter().chain(stored).collect();
    let mut text =
        format!("there is no tier '{name}'; there is {}, auto or none", names.join(", "));
    if fresh.is_none() {
        text.push_str(" (a tier that lives in memory is told by the API only)");
    }
    Failure::new(Exit::Usage, text)
}

/// Characters that mean something in an SQLite URI.
fn percent(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// How a span is divided into points, and which tier tells of which part.
struct Grid {
    tier: String,
    step: Option<i64>,
    /// The points' starts, and the last one's end.
    bounds: Vec<i64>,
    /// Parts of the span, in order: the length of a tier's intervals, start, end.
    segments: Vec<(i64, i64, i64)>,
    approximate_before: Option<i64>,
    recorded_until: Option<i64>,
}

impl Grid {
    /// For the tier in memory.
    fn fine(question: &Question, tier: &Tier) -> Result<Grid, Failure> {
        let seconds = i64::from(tier.seconds);
        let from = question.from.div_euclid(seconds) * seconds;
        let to = tiers::round_up(question.to, seconds).max(from + seconds);
        Ok(Grid {
            tier: tier.name.clone(),
            step: Some(seconds),
            bounds: uniform(from, to, seconds, question.most)?,
            segments: Vec::new(),
            approximate_before: None,
            recorded_until: None,
        })
    }

    fn new(
        connection: &Connection,
        tiers: Vec<StoredTier>,
        question: &Question,
        newest_pending: Option<i64>,
        fresh: Option<&Fresh<'_>>,
    ) -> rusqlite::Result<Result<Grid, Failure>> {
        let Some(base) = tiers.first() else {
            let text = "the history has no tiers yet; the daemon makes them when it starts";
            return Ok(Err(Failure::new(Exit::NoInput, text.to_owned())));
        };
        let newest = newest(connection, base.seconds)?;
        let recorded_until = newest_pending.max(newest).map(|start| start + base.seconds);
        let (from, to) = (question.from, question.to.max(question.from + 1));
        // Down to the finest tier that is still there.
        let available = |at: usize| match tiers.get(at + 1) {
            Some(coarser) => tiers::round_up(tiers[at].kept_since, coarser.seconds),
            None => i64::MIN,
        };
        let snap = |time: i64| {
            let at = (0..tiers.len()).find(|at| available(*at) <= time);
            tiers[at.unwrap_or(tiers.len() - 1)].start_of(time)
        };
        let last = tiers.len() - 1;
        let (top, step, mut bounds) = match &question.step {
            Step::Whole => (last, None, vec![from, tiers::round_up(to, base.seconds)]),
            Step::Tier(name) => {
                let Some(at) = tiers.iter().position(|tier| tier.name == *name) else {
                    return Ok(Err(no_tier(name, &tiers, fresh)));
                };
                let seconds = tiers[at].seconds;
                let bounds = (tiers[at].start_of(from), tiers::round_up(to, seconds));
                match uniform(bounds.0, bounds.1, seconds, question.most) {
                    Ok(bounds) => (at, Some(seconds), bounds),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            Step::Auto(points) => {
                // A span may lie across a bound of however long a step.
                let points = i64::try_from(*points).unwrap_or(i64::MAX).max(2);
                let mut oldest = Vec::new();
                for tier in &tiers {
                    let first = first(connection, &INTERFACE, tier.seconds)?;
                    oldest.push(first.unwrap_or(i64::MAX));
                }
                let fits = |at: usize| points_of(&(from..to), tiers[at].seconds) <= points;
                // Reaches back to the beginning of the span, or as far as any other.
                let reaches = |at: usize| {
                    oldest[at] <= from
                        || oldest[at + 1..]
                            .iter()
                            .all(|other| *other > oldest[at] - tiers[last].seconds)
                };
                let at = (0..=last).find(|at| fits(*at) && reaches(*at));
                let mut at = at.or_else(|| (0..=last).find(|at| fits(*at))).unwrap_or(last);
                let mut step = tiers[at].seconds;
                let many = points_of(&(from..to), step);
                if many > points {
                    // Even the coarsest is too fine.
                    step *= (to - from) / step / points + 1;
                    while points_of(&(from..to), step) > points {
                        step += tiers[at].seconds;
                    }
                } else if let Some((finer, shorter)) = at
                    .checked_sub(1)
                    .filter(|finer| many * COARSE < points && reaches(*finer))
                    .and_then(|finer| {
                        Some((finer, some_of(&tiers[finer], step, &(from..to), points)?))
                    })
                {
                    (at, step) = (finer, shorter);
                }
                let start = from.div_euclid(step) * step;
                match uniform(start, tiers::round_up(to, step), step, question.most) {
                    Ok(bounds) => (at, Some(step), bounds),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            Step::Days(zone) => match too_many((to - from) / 86_400, question.most) {
                None => (last, None, days(from, to, zone)),
                Some(failure) => return Ok(Err(failure)),
            },
        };
        let mut approximate_before = None;
        if step.is_none() {
            for bound in &mut bounds {
                let snapped = snap(*bound);
                if snapped != *bound && matches!(question.step, Step::Days(_)) {
                    approximate_before = Some(*bound);
                }
                *bound = snapped;
            }
            bounds.dedup();
            if bounds.len() < 2 {
                bounds.push(bounds[0] + base.seconds);
            }
        }
        // The open interval of a coarser tier may be behind.
        let open = |at: usize| match newest {
            Some(newest) if at > 0 => tiers[at].start_of(newest),
            _ => i64::MAX,
        };
        let mut segments = Vec::new();
        for pair in bounds.windows(2) {
            cover(&tiers, &open, top, pair[0], pair[1], &mut segments);
        }
        merge(&mut segments);
        let tier = match question.step {
            // The tier that most of it comes from.
            Step::Whole | Step::Days(_) => segments
                .iter()
                .max_by_key(|(_, start, end)| end - start)
                .and_then(|(length, ..)| tiers.iter().find(|tier| tier.seconds == *length))
                .map_or_else(|| base.name.clone(), |tier| tier.name.clone()),
            _ => tiers[top].name.clone(),
        };
        Ok(Ok(Grid { tier, step, bounds, segments, approximate_before, recorded_until }))
    }

    /// The point that a time lies in.
    fn point(&self, time: i64) -> Option<usize> {
        let at = self.bounds.partition_point(|bound| *bound <= time);
        (at > 0 && at < self.bounds.len()).then(|| at - 1)
    }
}

/// Covers a span with whole intervals of tier `at`, and what is left with finer ones.
fn cover(
    tiers: &[StoredTier],
    open: &impl Fn(usize) -> i64,
    at: usize,
    from: i64,
    to: i64,
    segments: &mut Vec<(i64, i64, i64)>,
) {
    if from >= to {
        return;
    }
    let tier = &tiers[at];
    let first = tiers::round_up(from, tier.seconds);
    let last = tier.start_of(to.min(open(at)));
    match at.checked_sub(1) {
        None => segments.push((tier.seconds, tier.start_of(from), to)),
        Some(finer) if first < last => {
            cover(tiers, open, finer, from, first, segments);
            segments.push((tier.seconds, first, last));
            cover(tiers, open, finer, last, to, segments);
        }
        Some(finer) => cover(tiers, open, finer, from, to, segments),
    }
}

/// Makes neighbouring segments of the same tier one.
fn merge(segments: &mut Vec<(i64, i64, i64)>) {
    segments.dedup_by(|next, one| {
        let is_same = one.0 == next.0 && one.2 == next.1;
        if is_same {
            one.2 = next.2;
        }
        is_same
    });
}

/// An answer with fewer than this part of the points that were asked for is made from a
/// finer tier, some intervals of which make a point.
const COARSE: i64 = 4;

/// The shortest whole number of a tier's intervals that divides `coarser`, and gives at most
/// so many points.
fn some_of(
    tier: &StoredTier,
    coarser: i64,
    span: &std::ops::Range<i64>,
    points: i64,
) -> Option<i64> {
    (1..coarser / tier.seconds)
        .map(|many| many * tier.seconds)
        .find(|step| coarser % step == 0 && points_of(span, *step) <= points)
}

/// How many aligned points of this length a span touches.
fn points_of(span: &std::ops::Range<i64>, step: i64) -> i64 {
    (tiers::round_up(span.end, step) - span.start.div_euclid(step) * step) / step
}

/// The bounds of points of the same length.
fn uniform(from: i64, to: i64, step: i64, most: usize) -> Result<Vec<i64>, Failure> {
    let points = (to - from) / step;
    match too_many(points, most) {
        None => Ok((0..=points).map(|at| from + at * step).collect()),
        Some(failure) => Err(failure),
    }
}

/// Whatever is asked for, memory stays bounded.
fn too_many(points: i64, most: usize) -> Option<Failure> {
    (points > i64::try_from(most).unwrap_or(i64::MAX)).then(|| {
        let text = format!(
            "that would be {points} points, and {most} is the most; ask for a shorter time or a \
             coarser tier"
        );
        Failure::new(Exit::Usage, text)
    })
}

/// The midnights of a time zone from the one before `from` to the one after `to`.
fn days(from: i64, to: i64, zone: &jiff::tz::TimeZone) -> Vec<i64> {
    let start = jiff::Timestamp::from_second(from)
        .ok()
        .and_then(|time| time.to_zoned(zone.clone()).start_of_day().ok());
    let Some(mut day) = start else {
        return vec![from, to];
    };
    let mut bounds = vec![day.timestamp().as_second()];
    // From noon to noon: whatever an hour more or less does, it is the next date.
    while bounds.last().is_none_or(|last| *last < to) {
        let Ok(next) = day.tomorrow().and_then(|next| next.start_of_day()) else { break };
        bounds.push(next.timestamp().as_second());
        day = next;
    }
    bounds
}

/// A row while it is read.
#[derive(Default)]
struct Gathered {
    total: Vec<Cell>,
    extras: Vec<i64>,
    parts: u32,
    /// Points, with how many parts each; as many cells as the kind has ways for each.
    points: Vec<(u32, u32)>,
    cells: Vec<Cell>,
    /// Of interfaces, frames lost in each of the points.
    dropped: Vec<u64>,
}

impl Gathered {
    fn add(&mut self, kind: &Kind, row: &Row, point: Option<usize>) -> usize {
        let ways = kind.ways.len();
        if self.total.is_empty() {
            self.total.clone_from(&row.cells);
            self.extras.clone_from(&row.extras);
        } else {
            self.total.iter_mut().zip(&row.cells).for_each(|(sum, more)| sum.add(more));
            for ((sum, more), extra) in self.extras.iter_mut().zip(&row.extras).zip(kind.extras) {
                *sum = if extra.is_sum { *sum + more } else { (*sum).max(*more) };
            }
        }
        self.parts += row.parts;
        let Some(point) = point else { return 0 };
        let point = point as u32;
        let dropped = (kind == &INTERFACE).then(|| row.extras[1].cast_unsigned());
        match self.points.last_mut() {
            Some((last, parts)) if *last == point => {
                *parts += row.parts;
                self.dropped.last_mut().zip(dropped).into_iter().for_each(|(sum, n)| *sum += n);
                let begin = self.cells.len() - ways;
                self.cells[begin..]
                    .iter_mut()
                    .zip(&row.cells)
                    .for_each(|(sum, more)| sum.add(more));
                0
            }
            _ => {
                self.points.push((point, row.parts));
                self.cells.extend_from_slice(&row.cells);
                self.dropped.extend(dropped);
                1
            }
        }
    }
}

/// An answer in the making.
struct Reading<'a> {
    question: &'a Question,
    grid: &'a Grid,
    only: Option<Key>,
    interfaces: HashMap<Key, Gathered>,
    rows: HashMap<Key, Gathered>,
    none: Gathered,
    /// By point: milliseconds covered, by interface; and intervals.
    covered: Vec<HashMap<i64, u64>>,
    intervals: Vec<u32>,
    held: usize,
    seen: Option<(i64, i64)>,
}

impl<'a> Reading<'a> {
    fn new(question: &'a Question, grid: &'a Grid, only: Option<Key>) -> Reading<'a> {
        let points = grid.bounds.len() - 1;
        Reading {
            question,
            grid,
            only,
            interfaces: HashMap::new(),
            rows: HashMap::new(),
            none: Gathered::default(),
            covered: vec![HashMap::new(); points],
            intervals: vec![0; points],
            held: 0,
            seen: None,
        }
    }

    /// Reads interfaces, for totals and coverage, and the rows that are asked for.
    fn read(&mut self, connection: &Connection, memory: &[Interval]) -> rusqlite::Result<()> {
        let kind = self.question.kind;
        each(connection, self.grid, &INTERFACE, None, memory, |source, start, key, row| {
            self.add_interface(source, start, key, &row);
        })?;
        if kind != &INTERFACE {
            let (only, grid) = (self.only, self.grid);
            let Reading { held, rows, none, .. } = self;
            each(connection, grid, kind, only, memory, |_, start, key, row| {
                let Some(point) = grid.point(start) else { return };
                if Some(key) == kind.none {
                    none.add(kind, &row, Some(point));
                } else if Some(key) != kind.other {
                    // The rest is derived from the total.
                    let point = (*held <= SERIES_HELD).then_some(point);
                    *held += rows.entry(key).or_default().add(kind, &row, point);
                }
            })?;
        }
        Ok(())
    }

    fn add_interface(&mut self, source: i64, start: i64, key: Key, row: &Row) {
        let Some(point) = self.grid.point(start) else { return };
        self.interfaces.entry(key).or_default().add(&INTERFACE, row, Some(point));
        *self.covered[point].entry(key[0]).or_default() += row.extras[0].cast_unsigned();
        if self.seen != Some((source, start)) {
            self.seen = Some((source, start));
            self.intervals[point] += 1;
        }
    }

    fn answer(mut self, connection: &Connection, memory: &[Interval]) -> rusqlite::Result<Answer> {
        let kind = self.question.kind;
        let is_interfaces = kind == &INTERFACE;
        if is_interfaces {
            self.rows = std::mem::take(&mut self.interfaces);
        }
        let mut order: Vec<(u64, Key)> = self
            .rows
            .iter()
            .map(|(key, row)| (row.total.iter().map(|cell| cell.bytes).sum(), *key))
            .collect();
        order.sort_unstable_by_key(|(bytes, key)| (std::cmp::Reverse(*bytes), *key));
        let count = order.len();
        if let Some(only) = self.only {
            order.retain(|(_, key)| *key == only);
        }
        if self.question.top > 0 && self.only.is_none() {
            order.truncate(self.question.top);
        }
        let shown: Vec<Key> = order.into_iter().map(|(_, key)| key).collect();
        let mut lines = Vec::new();
        if self.held > SERIES_HELD {
            self.read_series_again(connection, memory, &shown)?;
        }
        let total = self.total(if is_interfaces { &self.rows } else { &self.interfaces });
        for key in &shown {
            if let Some(row) = self.rows.get(key) {
                let label = self.label(connection, key, row)?;
                lines.push(self.line(label, row, !is_interfaces));
            }
        }
        let none = match self.none.total.is_empty() {
            true => empty(Label::None, kind),
            false => self.line(Label::None, &self.none, true),
        };
        let other = self.other(&lines, &none, &total);
        let points = self.points();
        let grid = self.grid;
        Ok(Answer {
            kind,
            tier: grid.tier.clone(),
            step: grid.step.and_then(|step| u32::try_from(step).ok()),
            from: grid.bounds[0],
            to: grid.bounds[points.len()],
            points,
            rows: lines,
            count,
            other,
            none,
            total,
            approximate_before: grid.approximate_before,
            recorded_until: grid.recorded_until,
        })
    }

    fn points(&self) -> Vec<Point> {
        let covered = self.covered.iter().map(|by| by.values().copied().max().unwrap_or(0));
        let spans = self.grid.bounds.windows(2);
        spans.zip(covered).map(|(b, covered)| Point { start: b[0], end: b[1], covered }).collect()
    }

    /// There were more series than are held: reads those of the busiest rows.
    fn read_series_again(
        &mut self,
        connection: &Connection,
        memory: &[Interval],
        shown: &[Key],
    ) -> rusqlite::Result<()> {
        let wanted: HashSet<Key> = shown.iter().copied().collect();
        self.rows.retain(|key, _| wanted.contains(key));
        self.rows.values_mut().for_each(|row| *row = Gathered::default());
        let (rows, grid, kind) = (&mut self.rows, self.grid, self.question.kind);
        each(connection, grid, kind, self.only, memory, |_, start, key, row| {
            if let (Some(known), Some(point)) = (rows.get_mut(&key), grid.point(start)) {
                known.add(kind, &row, Some(point));
            }
        })
    }

    fn label(&self, connection: &Connection, key: &Key, row: &Gathered) -> rusqlite::Result<Label> {
        let kind = self.question.kind;
        if kind == &INTERFACE {
            let sql = "SELECT name FROM interface_name WHERE id = ?1";
            let name = connection.query_row(sql, [key[0]], |row| row.get(0)).optional()?;
            return Ok(Label::Interface(name.unwrap_or_else(|| key[0].to_string())));
        }
        let label = Label::of_key(kind, key).unwrap_or(Label::Other);
        let Label::Host(address, ..) = label else { return Ok(label) };
        let sql = "SELECT mac FROM host_mac WHERE family = ?1 AND high = ?2 AND low = ?3";
        let mac = connection.prepare_cached(sql)?.query_row(*key, |row| row.get(0)).optional()?;
        Ok(Label::Host(address, mac, row.extras.first() == Some(&1)))
    }

    /// A row as it is answered. `absent` says that where it is missing it was silent.
    fn line(&self, label: Label, row: &Gathered, absent: bool) -> Line {
        let ways = self.question.kind.ways.len();
        let quiet = |cells: &[Cell], parts: u32, intervals: u32| -> Vec<Cell> {
            let is_quiet = absent && parts < intervals;
            cells
                .iter()
                .map(|cell| Cell { least: if is_quiet { 0 } else { cell.least }, ..*cell })
                .collect()
        };
        let series = row.points.iter().zip(row.cells.chunks_exact(ways));
        Line {
            label,
            total: quiet(&row.total, row.parts, self.intervals.iter().sum()),
            dropped: match self.question.kind == &INTERFACE {
                true => row.extras[1].cast_unsigned(),
                false => 0,
            },
            series: series
                .map(|((point, parts), cells)| {
                    (*point as usize, quiet(cells, *parts, self.intervals[*point as usize]))
                })
                .collect(),
            dropped_series: row.dropped.clone(),
        }
    }

    /// Every frame. Interfaces have a cell for each direction; what two ends share has the
    /// same in both cells.
    fn total(&self, interfaces: &HashMap<Key, Gathered>) -> Line {
        let kind = self.question.kind;
        let ways = kind.ways.len();
        let fit = |directions: &[Cell]| -> Vec<Cell> {
            if kind == &INTERFACE {
                return directions.to_vec();
            }
            vec![sum_of(directions); ways]
        };
        let mut line = empty(Label::Total, kind);
        let mut series: Vec<Option<Vec<Cell>>> = vec![None; self.intervals.len()];
        let mut dropped = vec![0; self.intervals.len()];
        for row in interfaces.values() {
            add_all(&mut line.total, &fit(&row.total));
            line.dropped += row.extras[1].cast_unsigned();
            let parts = row.points.iter().zip(row.cells.chunks_exact(INTERFACE.ways.len()));
            for ((point, _), cells) in parts {
                let cells = fit(cells);
                match &mut series[*point as usize] {
                    Some(known) => add_all(known, &cells),
                    place => *place = Some(cells),
                }
            }
            for ((point, _), n) in row.points.iter().zip(&row.dropped) {
                dropped[*point as usize] += n;
            }
        }
        fill(&mut line, kind, series, &dropped);
        line
    }

    /// What is left of the total.
    fn other(&self, lines: &[Line], none: &Line, total: &Line) -> Line {
        let kind = self.question.kind;
        let mut other = empty(Label::Other, kind);
        other.total.clone_from(&total.total);
        other.dropped = total.dropped;
        let mut series: Vec<Option<Vec<Cell>>> = vec![None; self.intervals.len()];
        let mut dropped = vec![0_u64; self.intervals.len()];
        for (point, cells) in &total.series {
            series[*point] = Some(cells.clone());
        }
        for ((point, _), n) in total.series.iter().zip(&total.dropped_series) {
            dropped[*point] = *n;
        }
        for line in lines.iter().chain([none]) {
            take_away(&mut other.total, &line.total);
            other.dropped = other.dropped.saturating_sub(line.dropped);
            for (point, cells) in &line.series {
                if let Some(left) = &mut series[*point] {
                    take_away(left, cells);
                }
            }
            for ((point, _), n) in line.series.iter().zip(&line.dropped_series) {
                dropped[*point] = dropped[*point].saturating_sub(*n);
            }
        }
        for (place, dropped) in series.iter_mut().zip(&dropped) {
            let is_silent = |cells: &Vec<Cell>| cells.iter().all(|cell| cell.packets == 0);
            if *dropped == 0 && place.as_ref().is_some_and(is_silent) {
                *place = None;
            }
        }
        fill(&mut other, kind, series, &dropped);
        let rates = other.series.iter_mut().flat_map(|(_, cells)| cells);
        rates.chain(&mut other.total).for_each(|cell| (cell.least, cell.greatest) = (0, 0));
        other
    }
}

/// The sum of cells that count at the same time: their rates are between the sums.
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

/// Gives a line its series; `dropped` has an entry for every point.
fn fill(line: &mut Line, kind: &Kind, series: Vec<Option<Vec<Cell>>>, dropped: &[u64]) {
    let filled = series.into_iter().enumerate().filter_map(|(at, cells)| Some((at, cells?)));
    line.series = filled.collect();
    if kind == &INTERFACE {
        line.dropped_series = line.series.iter().map(|(at, _)| dropped[*at]).collect();
    }
}

fn empty(label: Label, kind: &Kind) -> Line {
    Line {
        label,
        total: vec![Cell::default(); kind.ways.len()],
        dropped: 0,
        series: Vec::new(),
        dropped_series: Vec::new(),
    }
}

/// The statement for one key, and for frames that have no such thing: a look into the index
/// for each interval there is, instead of reading all rows.
fn seek(kind: &Kind, seconds: i64, key: Key, columns: &str) -> String {
    let names = kind.key_columns();
    let values = |key: Key| {
        let values: Vec<String> = key.iter().take(names.len()).map(i64::to_string).collect();
        format!("({})", values.join(", "))
    };
    let keys: Vec<String> = [Some(key), kind.none].into_iter().flatten().map(values).collect();
    let wanted: Vec<String> = (1..=names.len()).map(|at| format!("wanted_{at}")).collect();
    let equal: Vec<String> =
        names.iter().zip(&wanted).map(|(name, wanted)| format!("{name} = {wanted}")).collect();
    format!(
        "WITH wanted({wanted}) AS (VALUES {keys}),
            interval(at) AS (SELECT DISTINCT start FROM {interfaces}
                WHERE start >= ?1 AND start < ?2 ORDER BY start)
         SELECT start, {columns} FROM interval CROSS JOIN wanted CROSS JOIN {table}
         WHERE start = at AND {condition} AND {equal}",
        wanted = wanted.join(", "),
        keys = keys.join(", "),
        interfaces = INTERFACE.table(seconds),
        table = kind.table(seconds),
        condition = kind.condition(),
        equal = equal.join(" AND "),
    )
}

/// Visits the rows of a kind in the segments, then those in memory, in the order of time:
/// the source, the start of the interval, the key, the row.
fn each(
    connection: &Connection,
    grid: &Grid,
    kind: &'static Kind,
    only: Option<Key>,
    memory: &[Interval],
    mut visit: impl FnMut(i64, i64, Key, Row),
) -> rusqlite::Result<()> {
    // With the row of frames that have no such thing, in the same pass.
    let is_wanted = |key: &Key| only.is_none_or(|only| only == *key) || Some(*key) == kind.none;
    let columns = kind.columns().join(", ");
    for (seconds, from, to) in &grid.segments {
        let table = kind.table(*seconds);
        let sql = match only {
            Some(key) => seek(kind, *seconds, key, &columns),
            None => format!(
                "SELECT start, {columns} FROM {table} WHERE start >= ?1 AND start < ?2 AND {}",
                kind.condition()
            ),
        };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((from, to))?;
        while let Some(row) = rows.next()? {
            let (key, values) = read_row(kind, row, 1)?;
            visit(*seconds, row.get(0)?, key, values);
        }
    }
    for interval in memory {
        for (key, row) in &interval.rows[kind.at].0 {
            if is_wanted(key) {
                visit(0, interval.start, *key, row.clone());
            }
        }
    }
    Ok(())
}
