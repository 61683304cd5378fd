//! Databases of older versions: nothing in them is lost.

use rusqlite::{Connection, Transaction};

use super::fixtures::*;
use crate::account::Transport;
use crate::event::Severity;
use crate::store::kind::{HOST, port_key};
use crate::store::query::History;
use crate::store::question::{Question, Step};
use crate::store::schema::{VERSION, migrate_by};
use crate::store::*;

/// When the two minutes of the old database begin.
const START: i64 = 1_782_867_540;

fn made(path: &Path, dump: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(dump).unwrap();
    connection
}

fn old(path: &Path) -> Connection {
    made(path, include_str!("schema-1.sql"))
}

fn of_version_3(path: &Path) -> Connection {
    made(path, include_str!("schema-3.sql"))
}

fn tiers() -> Options {
    options(&[("minute", 60, 172_800), ("hour", 3_600, YEAR)], 200)
}

/// Rows as text.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at).unwrap());
        Ok(format!("{:?}", values.collect::<Vec<_>>()))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// All rows of all views, as sorted text; of events the columns of version 1.
fn everything(connection: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    for view in ["interface", "host", "device", "port", "protocol", "tier", "event"] {
        let columns = if view == "event" { "time, time_utc, kind, message" } else { "*" };
        let rows = rows(connection, &format!("SELECT {columns} FROM v_{view}"));
        all.extend(rows.iter().map(|row| format!("{view} {row}")));
    }
    all.sort();
    all
}

#[test]
fn what_version_1_has_written_is_there_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let connection = old(&path);
    let event = "INSERT INTO event (time, kind, message) VALUES (1782867600, 'write_failed', 'x')";
    connection.execute_batch(event).unwrap();
    let before = everything(&connection);
    assert_eq!(before.len(), 8 + 20 + 12 + 8 + 2 + 1);
    let mut store = Store::open(&path, tiers()).unwrap();
    assert_eq!(sum(&store, "PRAGMA user_version"), i64::from(VERSION));
    let now = everything(&store.writer.connection);
    assert!(before.iter().all(|row| now.contains(row)), "{now:#?}");
    // Version 2.
    assert_eq!(sum(&store, "SELECT severity FROM v_event WHERE kind = 'write_failed'"), 3);
    // In the same hour as the second of the old minutes.
    assert!(commit(&mut store, [spread(START + 120, 60, &[])]));
    assert_conservation(&store);
    assert_eq!(
        sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"),
        700 + 701 + 3 * 42
    );
    let (from, to, step) = (START - 3_600, START + 3_600, Step::Whole);
    let question =
        Question { kind: &HOST, only: None, from, to, step, most: 10, top: 0, rows: None };
    let answer = History::open(&path).unwrap().ask(&question, None).unwrap();
    assert_eq!((answer.rows.len(), answer.total.total[0].bytes), (4, 700 + 701 + 3 * 42));
    assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
}

/// The events as scripts of version 3 read them.
const EVENTS_3: &str = "SELECT time, time_utc, severity, kind, message FROM v_event ORDER BY time";

#[test]
fn events_of_version_3_keep_their_text_and_new_ones_have_evidence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let connection = of_version_3(&path);
    let service = "SELECT * FROM v_service ORDER BY tier, start, address, protocol, port";
    let (before, events) = (everything(&connection), rows(&connection, EVENTS_3));
    let services = rows(&connection, service);
    assert_eq!((events.len(), services.len()), (6, 20));
    // A script that counts columns.
    assert_eq!(rows(&connection, "SELECT * FROM v_event ORDER BY time"), events);
    drop(connection);
    let mut store = Store::open(&path, tiers()).unwrap();
    assert_eq!(sum(&store, "PRAGMA user_version"), i64::from(VERSION));
    let connection = &store.writer.connection;
    assert_eq!(everything(connection), before);
    assert_eq!(rows(connection, EVENTS_3), events);
    assert_eq!(rows(connection, service), services);
    let without = "SELECT count(*) FROM v_event WHERE reason = message
        AND subject IS NULL AND peer IS NULL AND evidence IS NULL";
    assert_eq!(sum(&store, without), 6);
    let all = rows(connection, "SELECT * FROM v_event ORDER BY time");
    let begins = |(now, before): (&String, &String)| now.starts_with(before.trim_end_matches(']'));
    assert!(all.iter().zip(&events).all(begins), "{all:#?}");
    let evidence = serde_json::json!({ "seconds": 5 });
    store.note(Severity::Warning, "test", "it's new".to_owned(), evidence.clone());
    assert!(commit(&mut store, [spread(START + 120, 60, &[])]));
    let shown = admin::stats(&path).unwrap().events;
    let kinds: Vec<&str> = shown.iter().map(|event| event.kind.as_ref()).collect();
    let oldest_last = [
        "stopped",
        "clock_set_back",
        "database_damaged",
        "history_lost",
        "write_failed",
        "started",
    ];
    assert_eq!((kinds[0], &kinds[1..]), ("test", &oldest_last[..]));
    assert_eq!(shown[0].evidence, Some(evidence));
    assert_eq!((shown[3].severity, shown[3].evidence.as_ref()), (Severity::Alarm, None));
    assert_eq!(shown[3].reason, "the database was damaged and is kept as it's.db.damaged-1");
    assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
}

/// A copy from before the upgrade, or what was put aside from the future, could not be read any more.
#[test]
fn a_copy_of_schema_3_is_read_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy.db");
    let (from, to, step) = (START - 3_600, START + 86_400, Step::Whole);
    let question =
        Question { kind: &HOST, only: None, from, to, step, most: 10, top: 0, rows: None };
    let figures = |path: &Path| {
        let answer = History::open(path).unwrap().ask(&question, None).unwrap();
        let events = admin::stats(path).unwrap().events;
        let told: Vec<_> = events.iter().map(|e| (e.kind.clone(), e.reason.clone())).collect();
        (answer.total.total, told, admin::check(path).unwrap())
    };
    drop(of_version_3(&path));
    let copy = figures(&path);
    assert_eq!((copy.0[0].bytes > 0, copy.1.len(), copy.2.len()), (true, 6, 0));
    drop(Store::open(&path, tiers()).unwrap());
    assert_eq!(figures(&path), copy);
    let path = directory.path().join("older.db");
    drop(old(&path));
    let told = History::open(&path).err().unwrap().to_string();
    let remedy = "'brightstat db upgrade' any other";
    assert!(told.contains("has schema 1") && told.ends_with(remedy), "{told}");
    assert_eq!(admin::upgrade(&path).unwrap(), 1);
    assert!(figures(&path).0[0].bytes > 0);
    assert_eq!(admin::upgrade(&path).unwrap(), VERSION);
    // A daemon uses it.
    let store = Store::open(&path, tiers()).unwrap();
    store.writer.connection.pragma_update(None, "user_version", 3).unwrap();
    assert!(matches!(admin::upgrade(&path), Err(error::Error::Locked { .. })));
}

/// An owner's own view, made of ours, kept SQLite from renaming a column, and the daemon from
/// starting.
#[test]
fn views_of_the_owner_survive_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let connection = of_version_3(&path);
    let own = "CREATE VIEW my_hosts AS SELECT address, sum(bytes_in) AS b FROM v_host GROUP BY 1;
        CREATE VIEW my_events AS SELECT time, message FROM v_event;";
    connection.execute_batch(own).unwrap();
    let all = ["SELECT * FROM my_hosts", "SELECT * FROM my_events"];
    let before = all.map(|sql| rows(&connection, sql));
    drop(connection);
    let store = Store::open(&path, tiers()).unwrap();
    assert_eq!(all.map(|sql| rows(&store.writer.connection, sql)), before);
    assert!(before.iter().all(|rows| !rows.is_empty()));
}

/// A migration is one transaction: wherever it is interrupted, the database is as it was, and the
/// next start tries again.
#[test]
fn the_step_to_version_4_may_be_interrupted_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut connection = of_version_3(&path);
    let state = |connection: &Connection| {
        let schema = rows(connection, "SELECT name, sql FROM sqlite_schema ORDER BY name");
        let version = rows(connection, "PRAGMA user_version");
        (schema, version, everything(connection), rows(connection, EVENTS_3))
    };
    let before = state(&connection);
    let mut interrupted = 0;
    // After ever more of SQLite's instructions.
    for most in (0..).step_by(17) {
        let mut left = most;
        let handler = move || {
            left -= 1;
            left < 0
        };
        connection.progress_handler(1, Some(handler)).unwrap();
        let result = schema::migrate(&mut connection, 3);
        // As the daemon, which ends: its ROLLBACK is interrupted as well.
        connection = Connection::open(&path).unwrap();
        let version = rows(&connection, "PRAGMA user_version");
        // The last instructions of COMMIT may be interrupted, too: then all of it is there.
        if version != before.1 {
            break;
        }
        assert!(result.is_err() && state(&connection) == before, "after {most} instructions");
        interrupted += 1;
    }
    assert!(interrupted > 50, "{interrupted}: else this test shows nothing");
    assert_eq!(rows(&connection, "PRAGMA user_version"), [format!("[Integer({VERSION})]")]);
    assert_eq!(rows(&connection, EVENTS_3), before.3);
}

/// The step itself went well, and what came after it failed.
#[test]
fn a_failure_after_the_step_to_version_4_takes_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = of_version_3(&directory.path().join("b.db"));
    let before = (everything(&connection), rows(&connection, "SELECT * FROM event"));
    let steps = [not_again, not_again, not_again, schema::MIGRATIONS[3], fails];
    assert!(migrate_by(&mut connection, 3, &steps).is_err());
    assert_eq!((everything(&connection), rows(&connection, "SELECT * FROM event")), before);
    assert_eq!(rows(&connection, "PRAGMA user_version"), ["[Integer(3)]"]);
}

#[test]
fn the_view_of_ports_names_sctp_in_a_database_of_before_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let connection = old(&path);
    let key = port_key(Transport::Sctp, 36_412)[0];
    let row = "INSERT INTO traffic_60 (start, kind, k1, k2, k3, packets_in, bytes_in)
        VALUES (1782867540, 3, ?1, 0, 0, 1, 100)";
    connection.execute(row, [key]).unwrap();
    let named = |connection: &Connection| -> Vec<String> {
        let sql = "SELECT protocol FROM v_port WHERE port = 36412";
        let mut rows = connection.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(named(&connection), ["udp"]);
    drop(connection);
    let store = Store::open(&path, tiers()).unwrap();
    assert_eq!(named(&store.writer.connection), ["sctp"]);
}

/// A possible second version: adds a column, and makes a table anew, which the views would block.
fn step_2(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE tier ADD COLUMN note TEXT NOT NULL DEFAULT '';
         CREATE TABLE new AS SELECT * FROM traffic_60;
         DROP TABLE traffic_60;
         ALTER TABLE new RENAME TO traffic_60;",
    )
}

fn fails(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch("DELETE FROM host_mac; INSERT INTO nowhere VALUES (1)")
}

fn not_again(_: &Transaction<'_>) -> rusqlite::Result<()> {
    panic!("the database has had this step")
}

#[test]
fn a_migration_changes_tables_and_loses_no_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = old(&directory.path().join("b.db"));
    let before = everything(&connection);
    migrate_by(&mut connection, 1, &[not_again, step_2]).unwrap();
    assert_eq!(everything(&connection), before);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("PRAGMA user_version"), 2);
    assert_eq!(number("SELECT count(*) FROM tier WHERE note = ''"), 2);
}

#[test]
fn a_migration_that_fails_leaves_the_database_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = old(&directory.path().join("b.db"));
    let before = everything(&connection);
    assert!(migrate_by(&mut connection, 1, &[not_again, step_2, fails]).is_err());
    assert_eq!(everything(&connection), before);
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0));
    assert_eq!(version.unwrap(), 1);
}

/// A power cut after the first tables were made and before there was any tier.
#[test]
fn a_database_without_tiers_is_migrated_too() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, 0).unwrap();
    fn nothing(_: &Transaction<'_>) -> rusqlite::Result<()> {
        Ok(())
    }
    migrate_by(&mut connection, 1, &[not_again, nothing]).unwrap();
}
