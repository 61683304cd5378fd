//! Answers of the history as CSV (RFC 4180): one line for each row and point.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::history::{COLUMNS, Cursor, columns, label, lines};
use crate::ask::when::rfc3339_in;
use crate::failure::printable;
use crate::store::kind::Kind;
use crate::store::question::{Answer, Cell, Label, Line};

/// Writes an answer, one row after the other.
///
/// # Errors
/// An error of `out`.
pub fn write_csv(answer: &Answer, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    write_head(answer.kind, out)?;
    for line in lines(answer).chain([&answer.total]) {
        let mut column = Column::new(answer, line);
        for at in 0..answer.points.len() {
            column.write(at, zone, out)?;
        }
    }
    Ok(())
}

/// Writes the names of the columns.
///
/// # Errors
/// An error of `out`.
pub fn write_head(kind: &Kind, out: &mut impl Write) -> io::Result<()> {
    let mut heads: Vec<String> =
        ["start", "end", "covered_seconds", "row"].map(str::to_owned).into();
    heads.extend(labels(kind).iter().map(|&head| head.to_owned()));
    for way in kind.ways {
        heads.extend(COLUMNS.map(|(name, _)| format!("{name}{way}")));
    }
    if kind.name == "interface" {
        heads.push("dropped".to_owned());
    }
    push_line(out, heads)
}

/// Writes an answer without the names of the columns, point by point: the parts of a long span,
/// written one after the other, are then in the order of time.
///
/// # Errors
/// An error of `out`.
pub fn write_by_time(answer: &Answer, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    let all = lines(answer).chain([&answer.total]);
    let mut all: Vec<Column<'_>> = all.map(|line| Column::new(answer, line)).collect();
    for at in 0..answer.points.len() {
        for column in &mut all {
            column.write(at, zone, out)?;
        }
    }
    Ok(())
}

fn labels(kind: &Kind) -> &'static [&'static str] {
    match kind.name {
        "host" => &["addr", "mac", "local"],
        "port" => &["protocol", "port"],
        "protocol" => &["protocol", "number"],
        "service" => &["addr", "mac", "local", "protocol", "port"],
        _ => &["name"],
    }
}

/// The lines of one row, in the order of time.
struct Column<'a> {
    answer: &'a Answer,
    line: &'a Line,
    cursor: Cursor<'a>,
    /// The fields before the numbers.
    names: Vec<String>,
}

impl<'a> Column<'a> {
    fn new(answer: &'a Answer, line: &'a Line) -> Column<'a> {
        let role = match line.label {
            Label::Other => "other",
            Label::None => "none",
            Label::Total => "total",
            _ => "",
        };
        let object = label(&line.label);
        let text = |name: &&str| match object.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let names = [role.to_owned()].into_iter().chain(labels(answer.kind).iter().map(text));
        Column { answer, line, cursor: Cursor::new(line), names: names.collect() }
    }

    /// Writes the line of a point. Ask for the points in order.
    fn write(&mut self, at: usize, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
        let (answer, line) = (self.answer, self.line);
        let (point, ways) = (&answer.points[at], answer.kind.ways.len());
        let found = self.cursor.at(at);
        let dropped = found.map_or(0, |(_, dropped)| dropped);
        let found = found.map(|(cells, _)| cells.to_vec());
        let cells = match answer.points.len() {
            1 if point.covered > 0 || line.total.iter().any(|cell| cell.packets > 0) => {
                Some(line.total.as_slice())
            }
            _ => found.as_deref(),
        };
        let zero = vec![Cell::default(); ways];
        let cells = cells.or((point.covered > 0).then_some(zero.as_slice()));
        let mut fields = vec![
            rfc3339_in(point.start, zone),
            rfc3339_in(point.end, zone),
            (point.covered as f64 / 1_000.0).to_string(),
        ];
        fields.extend(self.names.iter().cloned());
        for at in 0..ways {
            // What was not covered is unknown: an empty field, not 0.
            fields.extend((0..COLUMNS.len()).map(|column| {
                let told = cells.zip(columns(&line.label).get(column));
                told.map(|(cells, (_, of))| of(&cells[at]).to_string()).unwrap_or_default()
            }));
        }
        if answer.kind.name == "interface" {
            let dropped = if answer.points.len() == 1 { line.dropped } else { dropped };
            fields.push(cells.map(|_| dropped.to_string()).unwrap_or_default());
        }
        push_line(out, fields)
    }
}

/// Writes a line of CSV. Names are untrusted: control characters are escaped, and a field that a
/// spreadsheet would read as a formula gets an apostrophe in front.
fn push_line(out: &mut impl Write, fields: Vec<String>) -> io::Result<()> {
    let quoted = fields.into_iter().map(|field| {
        let field = match field.starts_with(['=', '+', '-', '@']) {
            true => format!("'{}", printable(&field)),
            false => printable(&field).into_owned(),
        };
        match field.contains([',', '"']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field,
        }
    });
    write!(out, "{}\r\n", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::history::example::{answer, line};
    use crate::store::question::Point;

    fn to_csv(answer: &Answer, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        write_csv(answer, zone, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_not_covered_is_empty_and_silence_is_0() {
        let points = vec![Point { start: 0, end: 180, covered: 0 }];
        let mut answer =
            Answer { points, rows: Vec::new(), other: line(Label::Other, &[]), ..answer() };
        answer.total = line(Label::Total, &[]);
        let csv = to_csv(&answer, &TimeZone::UTC);
        assert!(csv.contains("0,total,,,,,,,,,,,\r\n"), "{csv}");
        answer.points[0].covered = 180_000;
        let csv = to_csv(&answer, &TimeZone::UTC);
        assert!(csv.contains("180,total,,,,0,0,"), "{csv}");
    }

    #[test]
    fn by_time_there_are_the_same_lines_in_another_order() {
        let mut by_time = Vec::new();
        write_head(answer().kind, &mut by_time).unwrap();
        write_by_time(&answer(), &TimeZone::UTC, &mut by_time).unwrap();
        let by_time = String::from_utf8(by_time).unwrap();
        let by_row = to_csv(&answer(), &TimeZone::UTC);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&by_time), sorted(&by_row));
        let starts: Vec<&str> = by_time.lines().skip(1).map(|line| &line[..20]).collect();
        assert!(starts.is_sorted() && by_time.lines().next() == by_row.lines().next());
    }

    #[test]
    fn csv_has_a_line_for_each_row_and_point_and_leaves_empty_what_is_not_known() {
        let text = to_csv(&answer(), &TimeZone::UTC);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines.len(), 1 + 4 * 3 + 1);
        assert!(lines[0].starts_with("start,end,covered_seconds,row,addr,mac,local,packets_in,bytes_in,bits_per_second_min_in,bits_per_second_max_in,packets_out"), "{}", lines[0]);
        assert_eq!(
            lines[1],
            "1970-01-01T00:00:00Z,1970-01-01T00:01:00Z,60,,192.168.1.5,02:00:00:00:00:05,true,7,700,8,560,7,700,8,560"
        );
        assert_eq!(
            lines[2],
            "1970-01-01T00:01:00Z,1970-01-01T00:02:00Z,0,,192.168.1.5,02:00:00:00:00:05,true,,,,,,,,"
        );
        assert_eq!(
            lines[4],
            "1970-01-01T00:00:00Z,1970-01-01T00:01:00Z,60,other,,,,2,200,,,2,200,,"
        );
        let mut quoted = Vec::new();
        push_line(&mut quoted, vec!["a,\"b\"".into(), "c".into()]).unwrap();
        assert_eq!(String::from_utf8(quoted).unwrap(), "\"a,\"\"b\"\"\",c\r\n");
    }

    #[test]
    fn a_name_is_no_formula_for_a_spreadsheet_and_no_escape_sequence() {
        let mut text = Vec::new();
        let name = |text: &str| text.to_owned();
        push_line(
            &mut text,
            vec![name("=HYPERLINK(\"http://x\",1)"), name("@a"), name("\x1b[2J\n"), name("7")],
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "\"'=HYPERLINK(\"\"http://x\"\",1)\",'@a,\\u001b[2J\\u000a,7\r\n"
        );
    }
}
