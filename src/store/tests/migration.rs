//! Databases of older versions: nothing in them is lost.

use rusqlite::{Connection, Transaction};

use super::fixtures::*;
use crate::account::Transport;
use crate::store::kind::{HOST, port_key};
use crate::store::query::History;
use crate::store::question::{Question, Step};
use crate::store::schema::{VERSION, migrate_by};
use crate::store::*;

/// When the two minutes of the old database begin.
const START: i64 = 1_782_867_540;

fn old(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("schema-1.sql")).unwrap();
    connection
}

fn tiers() -> Options {
    options(&[("minute", 60, 172_800), ("hour", 3_600, YEAR)], 200)
}

/// All rows of all views, as sorted text; of events the columns of version 1.
fn everything(connection: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    for view in ["interface", "host", "device", "port", "protocol", "tier", "event"] {
        let columns = if view == "event" { "time, time_utc, kind, message" } else { "*" };
        let mut rows = connection.prepare(&format!("SELECT {columns} FROM v_{view}")).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at).unwrap());
            Ok(format!("{view} {:?}", values.collect::<Vec<_>>()))
        };
        all.extend(rows.query_map([], row).unwrap().map(Result::unwrap));
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
