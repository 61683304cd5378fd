//! The table of events. The store thread writes it, within the transaction of a commit.

use rusqlite::{Connection, Result, Transaction};

use crate::event::{Event, Severity};

/// Events that are kept, the newest: with a sentence, a subject and evidence about two megabytes.
pub(super) const EVENTS_KEPT: i64 = 10_000;

/// Writes events and keeps only the newest.
pub(super) fn write(transaction: &Transaction<'_>, events: &[Event]) -> Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO event (time, severity, kind, subject, peer, message, evidence)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for event in events {
        put.execute((
            event.time,
            event.severity.number(),
            &event.kind,
            &event.subject,
            &event.peer,
            &event.reason,
            event.evidence.as_ref().map(ToString::to_string),
        ))?;
    }
    if !events.is_empty() {
        let sql = "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1";
        transaction.prepare_cached(sql)?.execute([EVENTS_KEPT])?;
    }
    Ok(())
}

/// The newest events, at most `most`, the newest first.
pub(super) fn newest(connection: &Connection, most: u32) -> Result<Vec<Event>> {
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A copy from before an upgrade has nothing else than sentences.
    let [subject, peer, evidence] =
        if version < 4 { ["NULL"; 3] } else { ["subject", "peer", "evidence"] };
    let sql = format!(
        "SELECT time, severity, kind, {subject}, {peer}, message, {evidence} FROM event
        ORDER BY id DESC LIMIT ?1"
    );
    let mut rows = connection.prepare(&sql)?;
    let events = rows.query_map([most], |row| {
        let evidence: Option<String> = row.get(6)?;
        Ok(Event {
            time: row.get(0)?,
            severity: Severity::from_number(row.get(1)?),
            kind: row.get::<_, String>(2)?.into(),
            subject: row.get(3)?,
            peer: row.get(4)?,
            reason: row.get(5)?,
            // We write nothing else than JSON. The event is worth more than its evidence: that
            // another program has spoilt one must not hide the others.
            evidence: evidence.and_then(|text| serde_json::from_str(&text).ok()),
        })
    })?;
    events.collect()
}
