//! Answers as JSON; docs/api.md documents the keys.
//!
//! An answer is serialized directly: as a tree of values, 100 rows of 500 points took 52 MiB
//! (measured), more than all the rest of the daemon.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::history::{columns, label};
use crate::ask::when::{rfc3339_in, zone_name};
use crate::store::question::{Answer, Line, Point};

/// An answer as one JSON object.
pub fn to_json(answer: &Answer, zone: &TimeZone) -> String {
    // Cannot fail: all keys are strings, and a string accepts every write.
    serde_json::to_string(&Whole { answer, zone }).unwrap_or_default()
}

/// Writes an answer as one JSON object.
///
/// # Errors
/// An error of `out`.
pub fn write_json(answer: &Answer, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Whole { answer, zone })?;
    writeln!(out)
}

struct Whole<'a> {
    answer: &'a Answer,
    zone: &'a TimeZone,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Whole { answer, zone } = *self;
        let time = |seconds: i64| rfc3339_in(seconds, zone);
        let row = |line| Row { answer, line };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("what", answer.kind.plural)?;
        map.serialize_entry("from", &time(answer.from))?;
        map.serialize_entry("to", &time(answer.to))?;
        map.serialize_entry("time_zone", &zone_name(zone))?;
        map.serialize_entry("tier", &answer.tier)?;
        map.serialize_entry("step_seconds", &answer.step)?;
        map.serialize_entry("recorded_until", &answer.recorded_until.map(time))?;
        map.serialize_entry("approximate_before", &answer.approximate_before.map(time))?;
        map.serialize_entry("widened_to_seconds", &answer.widened)?;
        map.serialize_entry("kept_since", &answer.kept_since.map(time))?;
        let points = || answer.points.iter().map(|point| Time { point, zone });
        map.serialize_entry("points", &List(points))?;
        map.serialize_entry("count", &answer.count)?;
        map.serialize_entry("rows", &List(|| answer.rows.iter().map(row)))?;
        map.serialize_entry("other", &row(&answer.other))?;
        map.serialize_entry("none", &row(&answer.none))?;
        map.serialize_entry("total", &row(&answer.total))?;
        map.end()
    }
}

/// The items of an iterator, as an array.
struct List<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

struct Time<'a> {
    point: &'a Point,
    zone: &'a TimeZone,
}

impl Serialize for Time<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("start", &rfc3339_in(self.point.start, self.zone))?;
        map.serialize_entry("end", &rfc3339_in(self.point.end, self.zone))?;
        map.serialize_entry("covered_seconds", &(self.point.covered as f64 / 1_000.0))?;
        map.end()
    }
}

/// A row: its label, its totals and, if there is more than one point, its series.
#[derive(Clone, Copy)]
struct Row<'a> {
    answer: &'a Answer,
    line: &'a Line,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { answer, line } = *self;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &label(&line.label) {
            map.serialize_entry(name, value)?;
        }
        for (way, cell) in answer.kind.ways.iter().zip(&line.total) {
            for (name, of) in columns(&line.label) {
                map.serialize_entry(&format!("{name}{way}"), &of(cell))?;
            }
        }
        if answer.kind.name == "interface" {
            map.serialize_entry("dropped", &line.dropped)?;
        }
        if answer.points.len() > 1 {
            map.serialize_entry("series", &Series(*self))?;
        }
        map.end()
    }
}

/// A row's numbers by point, in arrays that run parallel to the points: null where nothing
/// was covered, 0 where nothing happened.
struct Series<'a>(Row<'a>);

impl Serialize for Series<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { answer, line } = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (at, way) in answer.kind.ways.iter().enumerate() {
            for (name, of) in columns(&line.label) {
                let values = || {
                    let mut series = line.series.iter().peekable();
                    answer.points.iter().enumerate().map(move |(place, point)| {
                        let cells = series.next_if(|(at, _)| *at == place);
                        let silent = (point.covered > 0).then_some(0);
                        cells.map(|(_, cells)| of(&cells[at])).or(silent)
                    })
                };
                map.serialize_entry(&format!("{name}{way}"), &List(values))?;
            }
        }
        if answer.kind.name == "interface" {
            let values = || {
                let mut series = line.series.iter().zip(&line.dropped_series).peekable();
                answer.points.iter().enumerate().map(move |(place, point)| {
                    let dropped = series.next_if(|((at, _), _)| *at == place);
                    dropped.map(|(_, dropped)| *dropped).or((point.covered > 0).then_some(0))
                })
            };
            map.serialize_entry("dropped", &List(values))?;
        }
        map.end()
    }
}
