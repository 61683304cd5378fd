//! What is written of an event is what is read.

use serde_json::json;

use super::fixtures::*;
use crate::event::{Event, Severity};
use crate::store::*;

fn event(severity: Severity) -> Event {
    Event {
        time: 1_782_867_600,
        severity,
        kind: "test".into(),
        subject: Some("192.168.1.3".to_owned()),
        peer: Some("2001:db8::2".to_owned()),
        reason: "it's \"new\", and \u{fc}ber 3 GB".to_owned(),
        evidence: Some(json!({ "from": -1, "to": 1u64 << 40, "names": ["a", "it's"] })),
    }
}

#[test]
fn an_event_comes_back_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let plain = Event { subject: None, peer: None, evidence: None, ..event(Severity::Notice) };
    let mut all: Vec<Event> = Severity::ALL.map(event).into();
    all.push(plain);
    store.events.extend(all.clone());
    assert!(commit(&mut store, []));
    all.reverse();
    let connection = &store.writer.connection;
    assert_eq!(events::newest(connection, 100).unwrap(), all);
    assert_eq!(events::newest(connection, 2).unwrap(), all[..2]);
    // For scripts: a missing field is NULL, and severities are numbers.
    let sql = "SELECT count(*) FROM v_event WHERE
        subject IS NULL AND peer IS NULL AND evidence IS NULL AND severity = 5";
    assert_eq!(sum(&store, sql), 1);
    let sql = "SELECT count(*) FROM v_event WHERE severity <= 4 AND subject = '192.168.1.3'
        AND evidence LIKE '{\"from\":-1,%'";
    assert_eq!(sum(&store, sql), 2);
}

/// `db stats` must not fail because another program has written into the table.
#[test]
fn spoilt_evidence_hides_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    store.events.extend([event(Severity::Alarm), event(Severity::Alarm)]);
    assert!(commit(&mut store, []));
    let sql = "UPDATE event SET evidence = '{', severity = 0 WHERE id = 1";
    store.writer.connection.execute_batch(sql).unwrap();
    let read = events::newest(&store.writer.connection, 100).unwrap();
    let spoilt = Event { evidence: None, ..event(Severity::Alarm) };
    assert_eq!(read, [event(Severity::Alarm), spoilt]);
}
