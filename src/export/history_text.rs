//! Answers of the history as tables for people.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::history::{Cursor, has_rates, lines};
use super::report::bit_rate;
use super::table::{Layout, grouped, share};
use crate::ask::when::zone_name;
use crate::failure::printable;
use crate::store::question::{Answer, Cell, Label, Line, Point};

/// Writes an answer as a table, with a title above and its source tier below.
///
/// The rows are formatted twice, the first time to measure the columns: a week of minutes held as
/// text would take some hundred megabytes.
///
/// # Errors
/// An error of `out`.
pub fn write_table(answer: &Answer, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    let clock = Clock::new(answer, zone);
    writeln!(
        out,
        "{} from {} to {} ({})\n",
        capitalised(answer.kind.plural),
        clock.show(answer.from),
        clock.show(answer.to),
        zone_name(zone)
    )?;
    let is_series = answer.points.len() > 1;
    let mut heads = Vec::new();
    if is_series {
        heads.extend(["time".to_owned(), "recorded".to_owned()]);
    }
    heads.extend(label_heads(answer).iter().map(|&head| head.to_owned()));
    let left = heads.len();
    for way in answer.kind.ways {
        let way = way.replace('_', " ").replace(" none", " not IP");
        heads.extend([format!("bytes{way}"), format!("packets{way}"), format!("peak{way}")]);
    }
    if answer.kind.name == "interface" {
        // Five directions are wide enough without packets and peaks.
        heads.retain(|head| !head.starts_with("packets") && !head.starts_with("peak"));
        heads.push("missed".to_owned());
    }
    let mut layout = Layout::new(left);
    layout.see(&heads);
    rows(answer, &clock, &mut |row| {
        layout.see(&row);
        Ok(())
    })?;
    out.write_all(layout.line(&heads).as_bytes())?;
    rows(answer, &clock, &mut |row| out.write_all(layout.line(&row).as_bytes()))?;
    writeln!(out)?;
    if !is_series && let Some(point) = answer.points.first() {
        let is_written = answer.recorded_until.is_some_and(|until| until > answer.from);
        match point.covered {
            0 if !is_written => writeln!(out, "Not written yet."),
            0 => writeln!(out, "Not recorded: brightstat did not run, or had no interface."),
            _ => writeln!(out, "Recorded: {}.", coverage(answer, point)),
        }?;
    }
    if let Some(seconds) = answer.widened {
        writeln!(
            out,
            "Only whole intervals of {} are kept of this time: all of them that the span touches \
             are shown.",
            length(seconds)
        )?;
    }
    if let Some(since) = answer.kept_since {
        writeln!(
            out,
            "Intervals of the tier \"{}\" are kept since {} only; for the time before ask for a \
             coarser one (--by).",
            answer.tier,
            clock.show(since)
        )?;
    }
    if answer.count > answer.rows.len() && answer.rows.len() > 1 {
        writeln!(
            out,
            "The {} busiest of {} are named (--top); the others are in \"other\".",
            answer.rows.len(),
            answer.count
        )?;
    }
    if let Some(before) = answer.approximate_before {
        writeln!(
            out,
            "Days up to {} are days of UTC: finer history is no longer kept.",
            clock.show(before)
        )?;
    }
    let until = answer.recorded_until.map_or_else(
        || "nothing has been recorded yet".to_owned(),
        |until| format!("recorded until {}", clock.show(until)),
    );
    writeln!(out, "From the tier \"{}\"; {until}.", answer.tier)
}

/// Formats the rows of a table, one after the other.
fn rows(
    answer: &Answer,
    clock: &Clock<'_>,
    each: &mut dyn FnMut(Vec<String>) -> io::Result<()>,
) -> io::Result<()> {
    let mut each = |row: Vec<String>| {
        each(row.into_iter().map(|cell| printable(&cell).into_owned()).collect())
    };
    if answer.points.len() <= 1 {
        for line in lines(answer).filter(|line| !is_silent(line)) {
            let mut row = label_cells(answer, &line.label);
            row.extend(numbers(answer, line, &line.total, line.dropped));
            each(row)?;
        }
        return Ok(());
    }
    let mut cursors: Vec<Cursor<'_>> = lines(answer).map(Cursor::new).collect();
    for (at, point) in answer.points.iter().enumerate() {
        let time = [clock.show(point.start), coverage(answer, point)];
        let mut is_told = false;
        for cursor in &mut cursors {
            let Some((cells, dropped)) = cursor.at(at) else { continue };
            if cells.iter().all(|cell| cell.packets == 0) && dropped == 0 {
                continue;
            }
            let mut row = time.to_vec();
            row.extend(label_cells(answer, &cursor.line.label));
            row.extend(numbers(answer, cursor.line, &cells, dropped));
            each(row)?;
            is_told = true;
        }
        if !is_told {
            each(time.to_vec())?;
        }
    }
    Ok(())
}

fn is_silent(line: &Line) -> bool {
    matches!(line.label, Label::Other | Label::None)
        && line.total.iter().all(|cell| cell.packets == 0)
}

fn label_heads(answer: &Answer) -> &'static [&'static str] {
    match answer.kind.name {
        "interface" => &["interface"],
        "host" => &["host", "MAC"],
        "service" => &["host", "MAC", "service"],
        "device" => &["device"],
        "port" => &["port"],
        _ => &["protocol"],
    }
}

fn label_cells(answer: &Answer, label: &Label) -> Vec<String> {
    let mut cells = match label {
        Label::Interface(name) | Label::Device(name) => vec![name.clone()],
        Label::Host(address, mac, _) => {
            vec![address.to_string(), mac.clone().unwrap_or_default()]
        }
        Label::Port(transport, port) => vec![format!("{port}/{transport}")],
        Label::Protocol(name, _) => vec![name.clone()],
        Label::Service(address, mac, _, protocol, port) => vec![
            address.to_string(),
            mac.clone().unwrap_or_default(),
            port.map_or_else(|| protocol.clone(), |port| format!("{port}/{protocol}")),
        ],
        Label::Other => vec!["other".to_owned()],
        Label::None if answer.kind.name == "port" => vec!["no port".to_owned()],
        Label::None => vec!["not IP".to_owned()],
        Label::Total => vec!["all".to_owned()],
    };
    cells.resize(label_heads(answer).len(), String::new());
    cells
}

fn numbers(answer: &Answer, line: &Line, cells: &[Cell], dropped: u64) -> Vec<String> {
    let is_interface = answer.kind.name == "interface";
    let mut fields = Vec::new();
    for cell in cells {
        fields.push(grouped(cell.bytes));
        if !is_interface {
            fields.push(grouped(cell.packets));
            let peak = bit_rate(cell.greatest as f64 * 8.0);
            fields.push(if has_rates(&line.label) { peak } else { String::new() });
        }
    }
    if is_interface {
        fields.push(grouped(dropped));
    }
    fields
}

fn coverage(answer: &Answer, point: &Point) -> String {
    let length = (point.end - point.start).cast_unsigned() * 1_000;
    match point.covered {
        0 if answer.kept_since.is_some_and(|since| point.start < since) => "not kept".to_owned(),
        0 => "not recorded".to_owned(),
        covered if covered >= length => "all".to_owned(),
        covered => share(covered, length),
    }
}

/// A length of time, as in "1 h".
fn length(seconds: u32) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// How times are shown in one table.
struct Clock<'a> {
    zone: &'a TimeZone,
    /// Whether clocks change within the answer: an hour may then occur twice, so each time shows
    /// whether it is summer time.
    is_changed: bool,
}

impl<'a> Clock<'a> {
    fn new(answer: &Answer, zone: &'a TimeZone) -> Clock<'a> {
        let offset = |seconds| Some(zone.to_offset(Timestamp::from_second(seconds).ok()?));
        let times = answer.points.iter().map(|point| point.start).chain([answer.from, answer.to]);
        let is_changed = times.map(offset).any(|other| other != offset(answer.from));
        Clock { zone, is_changed }
    }

    fn show(&self, seconds: i64) -> String {
        let Ok(time) = Timestamp::from_second(seconds) else { return seconds.to_string() };
        let format = match (seconds % 60 == 0, self.is_changed) {
            (true, false) => "%Y-%m-%d %H:%M",
            (true, true) => "%Y-%m-%d %H:%M %Z",
            (false, false) => "%Y-%m-%d %H:%M:%S",
            (false, true) => "%Y-%m-%d %H:%M:%S %Z",
        };
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::history::example::{answer, line};
    use crate::export::history_json::to_json;

    fn to_table(answer: &Answer, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        write_table(answer, zone, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_tells_silence_from_a_lack_of_coverage() {
        let text = to_table(&answer(), &TimeZone::UTC);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Hosts from 1970-01-01 00:00 to 1970-01-01 00:03 (UTC)");
        assert!(lines[3].contains("192.168.1.5") && lines[3].contains("700"), "{text}");
        assert!(lines[4].contains("other"), "{text}");
        assert!(lines[5].ends_with("00:01  not recorded"), "{text}");
        assert!(lines[6].ends_with("00:02  50.0 %"), "{text}");
        assert!(
            text.ends_with("From the tier \"minute\"; recorded until 1970-01-01 00:03.\n"),
            "{text}"
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_told_apart() {
        let hours = 1_792_882_800..1_792_893_600; // 2026-10-25 01:00 to 03:00 in Berlin
        let points = hours.clone().step_by(3_600);
        let points = points.map(|start| Point { start, end: start + 3_600, covered: 0 });
        let mut answer = Answer { points: points.collect(), rows: Vec::new(), ..answer() };
        (answer.from, answer.to) = (hours.start, hours.end);
        (answer.other.series, answer.none.series) = Default::default();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let text = to_table(&answer, &zone);
        for time in
            ["01:00 CEST", "02:00 CEST  not recorded", "02:00 CET  not recorded", "03:00 CET"]
        {
            assert!(text.contains(time) || text.contains(&time.replace("  ", "   ")), "{text}");
        }
        assert!(!to_table(&answer, &TimeZone::UTC).contains("UTC  "), "{text}");
    }

    #[test]
    fn a_span_that_was_not_covered_is_not_said_to_be_silent() {
        let points = vec![Point { start: 0, end: 180, covered: 0 }];
        let none = || line(Label::Other, &[]);
        let mut answer = Answer { points, rows: Vec::new(), other: none(), ..answer() };
        answer.total = line(Label::Total, &[]);
        assert!(to_table(&answer, &TimeZone::UTC).contains("Not recorded: brightstat did not run"));
    }

    #[test]
    fn json_has_series_that_run_parallel_to_the_points() {
        let json = to_json(&answer(), &TimeZone::UTC);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["points"][2]["covered_seconds"], 30.0);
        let row = &json["rows"][0];
        assert_eq!(
            (row["addr"].as_str(), row["bytes_out"].as_u64()),
            (Some("192.168.1.5"), Some(700))
        );
        assert_eq!(row["series"]["bytes_in"], serde_json::json!([700, null, 0]));
        assert_eq!(row["series"]["bits_per_second_max_in"], serde_json::json!([560, null, 0]));
        assert!(json["other"]["series"].get("bits_per_second_max_in").is_none());
        assert_eq!(json["recorded_until"], "1970-01-01T00:03:00Z");
    }
}
