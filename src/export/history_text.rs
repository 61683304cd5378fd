//! Answers of the history as tables for people and as CSV (RFC 4180).

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::history::{COLUMNS, columns, has_rates, label};
use super::report::bit_rate;
use super::table::{Layout, grouped, share};
use crate::ask::when::{rfc3339_in, zone_name};
use crate::failure::printable;
use crate::store::question::{Answer, Cell, Cells, Label, Line, Point};

/// Writes an answer as a table, with a line above that says what it is and one below that says
/// where it comes from.
///
/// The rows are made twice, once to see how wide they are: a week of minutes as a table of texts
/// would take some hundred megabytes.
///
/// # Errors
/// What writing says.
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

/// Makes the rows of a table, one after the other.
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

/// Goes along a line, point by point.
struct Cursor<'a> {
    line: &'a Line,
    series: std::iter::Peekable<Box<dyn Iterator<Item = (usize, Cells)> + 'a>>,
    dropped: std::slice::Iter<'a, u64>,
}

impl<'a> Cursor<'a> {
    fn new(line: &'a Line) -> Cursor<'a> {
        let series: Box<dyn Iterator<Item = (usize, Cells)> + 'a> = Box::new(line.series.iter());
        Cursor { line, series: series.peekable(), dropped: line.dropped_series.iter() }
    }

    /// What lies in a point, and the frames lost in it; points are asked for in order.
    fn at(&mut self, point: usize) -> Option<(Cells, u64)> {
        let (_, cells) = self.series.next_if(|(at, _)| *at == point)?;
        Some((cells, self.dropped.next().copied().unwrap_or(0)))
    }
}

/// Writes an answer as CSV: one line for each row and point.
///
/// # Errors
/// What writing says.
pub fn write_csv(answer: &Answer, zone: &TimeZone, out: &mut impl Write) -> io::Result<()> {
    let kind = answer.kind;
    let mut heads: Vec<String> =
        ["start", "end", "covered_seconds", "row"].map(str::to_owned).into();
    let labels: &[&str] = match kind.name {
        "host" => &["addr", "mac", "local"],
        "port" => &["protocol", "port"],
        "protocol" => &["protocol", "number"],
        "service" => &["addr", "mac", "local", "protocol", "port"],
        _ => &["name"],
    };
    heads.extend(labels.iter().map(|&head| head.to_owned()));
    for way in kind.ways {
        heads.extend(COLUMNS.map(|(name, _)| format!("{name}{way}")));
    }
    let is_interface = kind.name == "interface";
    if is_interface {
        heads.push("dropped".to_owned());
    }
    push_line(out, heads)?;
    let all = lines(answer).chain([&answer.total]);
    for line in all {
        let role = match line.label {
            Label::Other => "other",
            Label::None => "none",
            Label::Total => "total",
            _ => "",
        };
        let mut cursor = Cursor::new(line);
        for (at, point) in answer.points.iter().enumerate() {
            let found = cursor.at(at);
            let dropped = found.map_or(0, |(_, dropped)| dropped);
            let found = found.map(|(cells, _)| cells.to_vec());
            let cells = match answer.points.len() {
                1 if point.covered > 0 || line.total.iter().any(|cell| cell.packets > 0) => {
                    Some(line.total.as_slice())
                }
                _ => found.as_deref(),
            };
            let zero = vec![Cell::default(); kind.ways.len()];
            let cells = cells.or((point.covered > 0).then_some(zero.as_slice()));
            let mut fields = vec![
                rfc3339_in(point.start, zone),
                rfc3339_in(point.end, zone),
                (point.covered as f64 / 1_000.0).to_string(),
                role.to_owned(),
            ];
            let object = label(&line.label);
            fields.extend(labels.iter().map(|&name| match object.get(name) {
                None | Some(serde_json::Value::Null) => String::new(),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            }));
            for at in 0..kind.ways.len() {
                // Nothing is known of what was not covered: empty, unlike 0.
                fields.extend((0..COLUMNS.len()).map(|column| {
                    let told = cells.zip(columns(&line.label).get(column));
                    told.map(|(cells, (_, of))| of(&cells[at]).to_string()).unwrap_or_default()
                }));
            }
            if is_interface {
                let dropped = if answer.points.len() == 1 { line.dropped } else { dropped };
                fields.push(cells.map(|_| dropped.to_string()).unwrap_or_default());
            }
            push_line(out, fields)?;
        }
    }
    Ok(())
}

/// Writes a line of CSV (RFC 4180). Names are somebody else's text: control characters are written
/// out, and a field that a spreadsheet would take for a formula gets an apostrophe in front.
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

/// The rows, then what is not named.
fn lines(answer: &Answer) -> impl Iterator<Item = &Line> {
    answer.rows.iter().chain([&answer.other, &answer.none])
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
    /// Whether clocks are changed in between: an hour may come twice then, and times tell
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
    use crate::export::history_json::to_json;

    fn to_table(answer: &Answer, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        write_table(answer, zone, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn to_csv(answer: &Answer, zone: &TimeZone) -> String {
        let mut out = Vec::new();
        write_csv(answer, zone, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
    use crate::store::kind::HOST;

    fn cell(packets: u64) -> Cell {
        Cell { packets, bytes: packets * 100, least: 1, greatest: packets * 10 }
    }

    fn line(label: Label, series: &[(usize, u64)]) -> Line {
        let sum = series.iter().map(|(_, packets)| packets).sum();
        let series = series.iter().map(|(at, packets)| (*at, vec![cell(*packets); 2])).collect();
        Line { label, total: vec![cell(sum); 2], dropped: 0, series, dropped_series: Vec::new() }
    }

    /// Three minutes, of which the second was not covered and the third half.
    fn answer() -> Answer {
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
        let csv = to_csv(&answer, &TimeZone::UTC);
        assert!(csv.contains("0,total,,,,,,,,,,,\r\n"), "{csv}");
        answer.points[0].covered = 180_000;
        let csv = to_csv(&answer, &TimeZone::UTC);
        assert!(csv.contains("180,total,,,,0,0,"), "{csv}");
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
