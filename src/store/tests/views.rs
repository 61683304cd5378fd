//! views.md against a database: its queries, and its columns.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;

use super::fixtures::{Packet, closed, options};
use crate::account::{IntervalInterface, Rates, Volume};
use crate::event::{Event, Severity};
use crate::store::query::History;
use crate::store::*;

const PAGE: &str = include_str!("../views.md");

/// The present for the queries: a Thursday.
const NOW: &str = "2026-11-05 15:30:00";

/// Number of a remote host, and a port, that the counters have folded into "other".
const OTHER: u8 = 254;

fn time(text: &str) -> i64 {
    let text = text.replace(' ', "T") + "Z";
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// Hosts whose number can be divided by three are local: 192.168.1.N.
fn packet(source: u8, destination: u8, port: u8, bytes: u16) -> Packet {
    Packet { source, destination, port: port - 1, bytes }
}

/// A minute with these packets and one ARP frame of 42 bytes.
fn minute(start: i64, packets: &[Packet]) -> ClosedInterval {
    let mut interval = closed(start, 60, packets);
    let interface = &mut interval.interfaces[0];
    (interface.directions[0], interface.dropped) = (Volume::default(), 0);
    for packet in packets {
        let is_out = packet.source.is_multiple_of(3);
        interface.directions[usize::from(is_out)].count(u64::from(packet.bytes));
    }
    interface.rates = interface.directions.map(|volume| {
        let rate = volume.bytes / 60;
        Rates { least: rate, greatest: rate }
    });
    let other = super::fixtures::host(OTHER);
    for host in interval.hosts.extract_if(.., |host| host.address == other) {
        interval.other_hosts.sent += host.traffic.sent;
        interval.other_hosts.received += host.traffic.received;
    }
    interval.services.retain(|row| row.address != other);
    for port in interval.ports.extract_if(.., |row| row.port == u16::from(OTHER)) {
        interval.other_ports += port.volume;
    }
    interval
}

/// A minute that was captured and silent.
fn silent(start: i64) -> ClosedInterval {
    let eth0 =
        IntervalInterface { name: "eth0".into(), covered: 60_000, ..IntervalInterface::default() };
    ClosedInterval { start, length: 60, interfaces: vec![eth0], ..ClosedInterval::default() }
}

/// A store with one minute in January and one in October, and a week of minutes, most of
/// them silent, with an outage on Monday.
fn store() -> (tempfile::TempDir, Store) {
    const DAY: u64 = 86_400;
    let directory = tempfile::tempdir().unwrap();
    let tiers =
        [("minute", 60, 2 * DAY), ("hour", 3_600, 60 * DAY), ("day", DAY as u32, 3_660 * DAY)];
    let mut store = Store::open(&directory.path().join("b.db"), options(&tiers, 200)).unwrap();
    let busy = [
        ("2026-01-15 12:00:00", &[packet(1, 3, 53, 40_000)][..]),
        ("2026-10-10 08:00:00", &[packet(3, 1, 80, 20_000)]),
        ("2026-10-30 10:00:00", &[packet(1, 3, 80, 30_000), packet(3, 1, 80, 1_000)]),
        ("2026-11-03 09:10:00", &[packet(1, 9, 80, 5_000)]),
        (
            "2026-11-04 20:00:00",
            &[packet(1, 3, 80, 60_000), packet(3, 1, 80, 3_000), packet(2, 6, 53, 2_000)],
        ),
        ("2026-11-04 20:01:00", &[packet(1, 6, 22, 10_000), packet(OTHER, 6, OTHER, 600)]),
    ];
    let silent_from = time("2026-10-29 00:00:00");
    let outage = time("2026-11-02 03:00:00")..time("2026-11-02 05:30:00");
    let minutes = (silent_from..time(NOW)).step_by(60).filter(|start| !outage.contains(start));
    let early = busy.iter().map(|(start, _)| time(start)).filter(|start| *start < silent_from);
    let status = Status::default();
    let starts: Vec<i64> = early.chain(minutes).collect();
    for some in starts.chunks(600) {
        let intervals = some.iter().map(|start| {
            let packets = busy.iter().find(|(text, _)| time(text) == *start);
            let mut interval =
                packets.map_or(silent(*start), |(_, packets)| minute(*start, packets));
            if *start == time("2026-11-03 09:10:00") {
                interval.interfaces[0].dropped = 7;
            }
            interval
        });
        assert!(store.commit_now(intervals.collect::<Vec<_>>(), false, &status));
    }
    for (at, kind, severity, reason, evidence) in [
        ("2026-09-01 00:00:00", "write_failed", Severity::Alarm, "the disk is full", None),
        ("2026-11-01 00:00:00", "started", Severity::Information, "it has started", None),
        (
            "2026-11-03 12:00:00",
            "write_failed",
            Severity::Alarm,
            "the disk is full; make room",
            Some(json!({ "intervals": 2, "from": 1 })),
        ),
    ] {
        let (time, kind, reason) = (time(at), kind.into(), reason.to_owned());
        let (subject, peer) = (None, None);
        store.events.push(Event { time, severity, kind, subject, peer, reason, evidence });
    }
    assert!(store.commit_now([], true, &status));
    (directory, store)
}

/// The queries of the page: title and SQL.
fn queries() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```sql\n").collect::<Vec<_>>();
    let title = |before: &'static str| before.rsplit_once("\n### ").unwrap().1.lines().next();
    let sql = |block: &'static str| block.split_once("```").unwrap().0;
    blocks.windows(2).map(|pair| (title(pair[0]).unwrap(), sql(pair[1]))).collect()
}

/// An answer as `sqlite3` shows it: a line of heads, then one for each row.
fn ask(connection: &Connection, sql: &str) -> Vec<String> {
    let sql = sql.replace("'now'", &format!("'{NOW}'"));
    let mut statement = connection.prepare(&sql).unwrap();
    let mut lines = vec![statement.column_names().collect::<Vec<_>>().join("|")];
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let cells = (0..count).map(|at| match row.get(at).unwrap() {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(_) => unreachable!("no view has one"),
        });
        lines.push(cells.collect::<Vec<_>>().join("|"));
    }
    lines
}

#[test]
fn the_query_of_the_guide_answers_what_is_known() {
    let (_directory, store) = store();
    let page = include_str!("../../../docs/history.md");
    let (_, rest) = page.split_once("brightstat.db \\\n    \"").unwrap();
    let connection = Connection::open(&store.path).unwrap();
    let lines = ask(&connection, rest.split_once('"').unwrap().0);
    assert_eq!(lines[0], "address|sum(bytes_in)|sum(bytes_out)");
    assert!(lines.contains(&"192.168.1.9|5000|0".to_owned()), "{lines:?}");
}

#[test]
fn the_queries_of_the_page_answer_what_is_known() {
    let (_directory, store) = store();
    // Read-only, while the store is open for writing.
    let history = History::open(&store.path).unwrap();
    let queries = queries();
    let expected: [&[&str]; 12] = [
        // Received: 30 000 + 60 000; the days before the window do not count.
        &[
            "address|mac|mb_in|mb_out",
            "192.168.1.3|02:00:00:00:00:03|0.09|0.004",
            "192.168.1.6|02:00:00:00:00:06|0.013|0",
            "192.168.1.9|02:00:00:00:00:09|0.005|0",
        ],
        &[
            "start|start_utc|bytes_in|bytes_out|bits_per_second_max_in",
            "1793354400|2026-10-30 10:00:00|30000|1000|4000",
            "1793822400|2026-11-04 20:00:00|60000|3000|8000",
        ],
        // Two minutes with one ARP frame each.
        &[
            "protocol|port|bytes|packets|bits_per_second_max",
            "tcp|80|63000|2|8400",
            "tcp|22|10000|1|1328",
            "tcp|53|2000|1|264",
            "other||600|1|80",
            "none||84|2|0",
        ],
        // Since 6 October.
        &["protocol|bytes|percent", "tcp|131600|99.84", "none|210|0.16"],
        &[
            "day|interface|bytes_in|bytes_out|peak_in|peak_out",
            "2026-10-10|eth0|0|20000|0|2664",
            "2026-10-30|eth0|30000|1000|4000|128",
            "2026-11-03|eth0|5000|0|664|0",
            "2026-11-04|eth0|72600|3000|8264|400",
        ],
        &[
            "hour_utc|covered_seconds",
            "2026-11-02 03:00:00|0",
            "2026-11-02 04:00:00|0",
            "2026-11-02 05:00:00|1800",
        ],
        &[
            "address|mac|first_day|bytes_in|bytes_out",
            "192.168.1.9|02:00:00:00:00:09|2026-11-03|5000|0",
            "192.168.1.6|02:00:00:00:00:06|2026-11-04|12600|0",
        ],
        &[
            "start_utc|address|bytes_in|bytes_out",
            "2026-11-04 20:00:00|192.168.1.3|60000|3000",
            "2026-11-04 20:00:00|203.0.113.1|3000|60000",
            "2026-11-04 20:00:00|192.168.1.6|2000|0",
            "2026-11-04 20:00:00|2001:db8::2|0|2000",
            "2026-11-04 20:00:00|none|42|42",
        ],
        &[
            "month|bytes_in|bytes_out|days",
            "2026-01|40000|0|1",
            "2026-10|30000|21000|4",
            "2026-11|77600|3000|5",
        ],
        &[
            "time_utc|kind|message",
            "2026-11-03 12:00:00|write_failed|the disk is full; make room",
            "2026-11-03 00:00:00|dropped|7 of 9 frames on eth0",
        ],
        &[
            "address|mac|local|bytes_in|bytes_out|first_day|last_day",
            "192.168.1.6|02:00:00:00:00:06|1|10000|0|2026-11-04|2026-11-04",
            "203.0.113.1|02:00:00:00:00:01|0|0|10000|2026-11-04|2026-11-04",
        ],
        &[
            "time_utc|severity|kind|subject|peer|reason|evidence",
            "2026-11-03 12:00:00|alarm|write_failed|brightstat||the disk is full; make room|\
             {\"intervals\":2,\"from\":1}",
            "2026-11-01 00:00:00|information|started|brightstat||it has started|",
        ],
    ];
    assert_eq!(queries.len(), expected.len());
    for ((title, sql), expected) in queries.iter().zip(expected) {
        assert_eq!(ask(history.connection(), sql), expected, "{title}");
    }
}

#[test]
fn every_query_of_the_page_names_a_tier_wherever_it_reads_traffic() {
    for (title, sql) in queries() {
        let reads = ["v_interface", "v_host", "v_service", "v_device", "v_port", "v_protocol"];
        let reads: usize = reads.iter().map(|view| sql.matches(view).count()).sum();
        assert_eq!(sql.matches("tier = '").count(), reads, "{title}");
        assert!(reads > 0 || sql.contains("FROM v_event"), "{title}");
    }
}

/// The words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The columns that the page documents for a view: the first cells of the tables below all
/// headings that name it.
fn documented(view: &str) -> Vec<String> {
    let sections = PAGE.split("\n### ").skip(1);
    let its = sections.filter(|section| {
        let heading = section.lines().next().unwrap_or_default();
        quoted(heading).any(|name| name == view)
    });
    let cells =
        its.flat_map(str::lines).filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    cells.flat_map(quoted).map(str::to_owned).collect()
}

#[test]
fn the_page_documents_every_column_once_and_no_other() {
    let (_directory, store) = store();
    let history = History::open(&store.path).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = history.connection().prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get("name")).unwrap();
        names.collect::<rusqlite::Result<_>>().unwrap()
    };
    let views = names("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name");
    assert_eq!(views.len(), 8);
    for view in &views {
        let mut columns = names(&format!("PRAGMA table_info({view})"));
        columns.sort();
        let mut documented = documented(view);
        documented.sort();
        assert_eq!(documented, columns, "{view}");
    }
    // Every documented view exists.
    let headings = PAGE.lines().filter(|line| line.starts_with("### ")).flat_map(quoted);
    let headings: BTreeSet<&str> = headings.collect();
    assert_eq!(headings, views.iter().map(String::as_str).collect());
}

#[test]
fn the_page_names_every_kind_of_event_and_what_its_evidence_holds() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let files = std::fs::read_dir(room).unwrap().map(|file| file.unwrap().path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs");
    let source: String =
        files.filter(is_source).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let calls = source.split("self.note(").skip(1);
    let kinds: BTreeSet<&str> = calls.filter_map(|call| call.split('"').nth(1)).collect();
    assert!(kinds.contains("started") && kinds.len() >= 9, "{kinds:?}");
    // The names in the objects of their evidence.
    let objects = source.split("json!({").skip(1).filter_map(|text| text.split("})").next());
    let pieces = objects.flat_map(|object| object.rsplit("\":").skip(1));
    let names: BTreeSet<&str> = pieces.filter_map(|piece| piece.rsplit('"').next()).collect();
    assert!(names.contains("to") && names.len() >= 8, "{names:?}");
    for name in kinds.iter().chain(&names) {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
}
