//! Reading the rows that a question is about, and adding them up to an answer.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::gathered::{Gathered, Table};
use super::grid::Grid;
use super::kind::{INTERFACE, Key, Kind};
use super::question::{Answer, Cell, Label, Line, Point, Question};
use super::rows::{Interval, Row};
use super::scan::each;

/// Series that are held while reading, in points; beyond that the busiest rows are found
/// first and their series read after.
const SERIES_HELD: usize = 150_000;

/// An answer in the making.
pub(super) struct Reading<'a> {
    question: &'a Question,
    grid: &'a Grid,
    only: Option<Key>,
    interfaces: Table,
    rows: Table,
    none: Gathered,
    /// By point: milliseconds covered, by interface; and intervals.
    covered: Vec<HashMap<i64, u64>>,
    intervals: Vec<u32>,
    held: usize,
    seen: Option<(i64, i64)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(question: &'a Question, grid: &'a Grid, only: Option<Key>) -> Reading<'a> {
        let points = grid.bounds.len() - 1;
        Reading {
            question,
            grid,
            only,
            interfaces: Table::default(),
            rows: Table::default(),
            none: Gathered::default(),
            covered: vec![HashMap::new(); points],
            intervals: vec![0; points],
            held: 0,
            seen: None,
        }
    }

    /// Reads interfaces, for totals and coverage, and the rows that are asked for.
    pub(super) fn read(
        &mut self,
        connection: &Connection,
        memory: &[Interval],
    ) -> rusqlite::Result<()> {
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
                    *held += rows.row(key).add(kind, &row, point);
                }
            })?;
        }
        Ok(())
    }

    fn add_interface(&mut self, source: i64, start: i64, key: Key, row: &Row) {
        let Some(point) = self.grid.point(start) else { return };
        self.interfaces.row(key).add(&INTERFACE, row, Some(point));
        *self.covered[point].entry(key[0]).or_default() += row.extras[0].cast_unsigned();
        if self.seen != Some((source, start)) {
            self.seen = Some((source, start));
            self.intervals[point] += 1;
        }
    }

    pub(super) fn answer(
        mut self,
        connection: &Connection,
        memory: &[Interval],
    ) -> rusqlite::Result<Answer> {
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
            widened: grid.widened.and_then(|seconds| u32::try_from(seconds).ok()),
            kept_since: grid.kept_since,
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
        self.rows = Table::default();
        for key in shown {
            self.rows.row(*key);
        }
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
        Ok(Label::Host(address, mac, row.extras[0] == 1))
    }

    /// A row as it is answered. `absent` says that where it is missing it was silent.
    fn line(&self, label: Label, row: &Gathered, absent: bool) -> Line {
        let is_interface = self.question.kind == &INTERFACE;
        let quiet = |cells: &[Cell], parts: u32, intervals: u32| -> Vec<Cell> {
            let is_quiet = absent && parts < intervals;
            cells
                .iter()
                .map(|cell| Cell { least: if is_quiet { 0 } else { cell.least }, ..*cell })
                .collect()
        };
        Line {
            label,
            total: quiet(&row.total, row.parts, self.intervals.iter().sum()),
            dropped: if is_interface { row.extras[1].cast_unsigned() } else { 0 },
            series: row
                .series()
                .map(|(point, parts, cells, _)| (point, quiet(cells, parts, self.intervals[point])))
                .collect(),
            dropped_series: match is_interface {
                true => row.series().map(|(.., dropped)| dropped).collect(),
                false => Vec::new(),
            },
        }
    }

    /// Every frame. Interfaces have a cell for each direction; what two ends share has the
    /// same in both cells.
    fn total(&self, interfaces: &Table) -> Line {
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
        for (_, row) in interfaces.iter() {
            add_all(&mut line.total, &fit(&row.total));
            line.dropped += row.extras[1].cast_unsigned();
            for (point, _, cells, lost) in row.series() {
                let cells = fit(cells);
                match &mut series[point] {
                    Some(known) => add_all(known, &cells),
                    place => *place = Some(cells),
                }
                dropped[point] += lost;
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
