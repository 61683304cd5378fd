//! Names of the rows and columns of answers from the history, the same in every format.

use serde_json::{Map, Value, json};

use crate::store::question::{Answer, Cell, Cells, Label, Line};

/// A row's label as keys and values.
pub fn label(label: &Label) -> Map<String, Value> {
    let value = match label {
        Label::Interface(name) | Label::Device(name) => json!({ "name": name }),
        Label::Host(addr, mac, local) => json!({ "addr": addr, "mac": mac, "local": local }),
        Label::Port(protocol, port) => json!({ "protocol": protocol, "port": port }),
        Label::Protocol(name, number) => {
            json!({ "protocol": name, "number": (*number < 256).then_some(number) })
        }
        Label::Service(addr, mac, local, protocol, port) => json!({
            "addr": addr, "mac": mac, "local": local, "protocol": protocol, "port": port
        }),
        Label::Other | Label::None | Label::Total => json!({}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A column: its name, to which a way's suffix is appended, and its value.
pub type Column = (&'static str, fn(&Cell) -> u64);

/// The columns of a cell. Rates are in bits per second.
pub const COLUMNS: [Column; 4] = [
    ("packets", |cell| cell.packets),
    ("bytes", |cell| cell.bytes),
    ("bits_per_second_min", |cell| cell.least * 8),
    ("bits_per_second_max", |cell| cell.greatest * 8),
];

/// The columns of a row: all, or those without rates.
pub fn columns(label: &Label) -> &'static [Column] {
    if has_rates(label) { &COLUMNS } else { &COLUMNS[..2] }
}

/// Whether the row has rates. Those of different rows cannot be added or subtracted: "other" has
/// none.
pub fn has_rates(label: &Label) -> bool {
    *label != Label::Other
}

/// The rows, then "other" and "none".
pub(super) fn lines(answer: &Answer) -> impl Iterator<Item = &Line> {
    answer.rows.iter().chain([&answer.other, &answer.none])
}

/// Reads a line point by point.
pub(super) struct Cursor<'a> {
    pub(super) line: &'a Line,
    series: std::iter::Peekable<Box<dyn Iterator<Item = (usize, Cells)> + 'a>>,
    dropped: std::slice::Iter<'a, u64>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a Line) -> Cursor<'a> {
        let series: Box<dyn Iterator<Item = (usize, Cells)> + 'a> = Box::new(line.series.iter());
        Cursor { line, series: series.peekable(), dropped: line.dropped_series.iter() }
    }

    /// The cells of a point and the frames lost in it. Ask for the points in order.
    pub(super) fn at(&mut self, point: usize) -> Option<(Cells, u64)> {
        let (_, cells) = self.series.next_if(|(at, _)| *at == point)?;
        Some((cells, self.dropped.next().copied().unwrap_or(0)))
    }
}

/// An answer for tests of the formats.
#[cfg(test)]
pub(super) mod example {
    use super::*;
    use crate::store::kind::{HOST, key_of};
    use crate::store::question::Point;

    fn cell(packets: u64) -> Cell {
        Cell { packets, bytes: packets * 100, least: 1, greatest: packets * 10 }
    }

    pub fn line(label: Label, series: &[(usize, u64)]) -> Line {
        let sum = series.iter().map(|(_, packets)| packets).sum();
        let series = series.iter().map(|(at, packets)| (*at, vec![cell(*packets); 2])).collect();
        Line { label, total: vec![cell(sum); 2], dropped: 0, series, dropped_series: Vec::new() }
    }

    /// Three minutes: the second was not covered, the third was half covered.
    pub fn answer() -> Answer {
        let host =
            Label::Host("192.168.1.5".parse().unwrap(), Some("02:00:00:00:00:05".into()), true);
        let points = [(0, 60_000), (60, 0), (120, 30_000)];
        Answer {
            kind: &HOST,
            tier: "minute".into(),
            step: Some(60),
            from: 0,
            to: 180,
            points: points.map(|(start, covered)| Point { start, end: start + 60, covered }).into(),
            rows: vec![line(host, &[(0, 7)])],
            keys: vec![key_of([4, 0, 5])],
            count: 3,
            other: line(Label::Other, &[(0, 2)]),
            none: line(Label::None, &[]),
            total: line(Label::Total, &[(0, 9), (2, 0)]),
            approximate_before: None,
            widened: None,
            kept_since: None,
            recorded_until: Some(180),
        }
    }
}
