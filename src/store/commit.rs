//! A commit of the store thread: writes what waits, handles failures, and reports them. What cannot
//! be written waits for the next commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use log::{error, info, warn};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::batch::Batch;
use super::error::{Error, is_damage};
use super::place::Change;
use super::recent::Lost;
use super::retention::PACE;
use super::rows::Interval;
use super::write::Writer;
use super::{Options, Pulse, Status, Store, ahead, open};
use crate::event::{Event, Severity};

/// Limit of events that wait for the disk.
const EVENTS_MOST: usize = 100;
/// Gaps longer than this, seconds, and than the finest tier is kept, are reported.
const JUMP: i64 = 86_400;

impl Store {
    /// Adds an event about brightstat or its history, dated now. The next commit writes it.
    pub(super) fn note(
        &mut self,
        severity: Severity,
        kind: &'static str,
        reason: String,
        evidence: impl Into<Option<Value>>,
    ) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // If the disk fails for long, the newest events are enough to tell the story.
        if self.events.len() >= EVENTS_MOST {
            self.events.remove(0);
        }
        let (subject, peer, evidence) = (None, None, evidence.into());
        let kind = kind.into();
        self.events.push(Event { time, severity, kind, subject, peer, reason, evidence });
    }

    pub(super) fn note_damage(&mut self, aside: &Path) {
        let reason = format!("the database was damaged and is kept as {}", aside.display());
        let evidence = json!({ "file": aside.display().to_string() });
        self.note(Severity::Alarm, "database_damaged", reason, evidence);
    }

    /// Writes what waits in one transaction. Returns whether that succeeded; if not, all of it
    /// waits.
    pub(super) fn commit(&mut self, is_last: bool, status: &Status) -> bool {
        let pulse = self.pulse.clone();
        pulse.needed(|| self.write_all(is_last, status))
    }

    fn write_all(&mut self, is_last: bool, status: &Status) -> bool {
        if let Err(failure) = self.look_after_files() {
            self.note_trouble(failure.to_string(), status);
            return false;
        }
        let mut result = self.try_commit(is_last, status);
        if let Err(error) = &result
            && is_damage(error)
        {
            match self.begin_anew(&error.to_string()) {
                Ok(()) => result = self.try_commit(is_last, status),
                Err(failure) => error!("{failure}"),
            }
        }
        match result {
            Ok(()) => {
                if status.is_failing.load(Ordering::Relaxed) {
                    info!("{}: writing works again", self.path.display());
                }
                status.set_trouble(None);
                true
            }
            Err(e) => {
                self.note_trouble(open::trouble(&self.path, e).to_string(), status);
                false
            }
        }
    }

    /// Reports that history cannot be written.
    fn note_trouble(&mut self, text: String, status: &Status) {
        if !status.is_failing.load(Ordering::Relaxed) {
            error!(
                "{}: cannot write history: {text}; counting goes on, {} intervals wait in memory",
                self.path.display(),
                status.waiting()
            );
            let recent = self.recent.lock();
            let (waiting, first) = (recent.pending.len(), recent.pending.keys().next().copied());
            drop(recent);
            let evidence = json!({ "intervals": waiting, "from": first });
            self.note(Severity::Alarm, "write_failed", text.clone(), evidence);
        }
        status.set_trouble(Some(text));
    }

    fn try_commit(&mut self, is_last: bool, status: &Status) -> rusqlite::Result<()> {
        if self.lost.intervals > 0 {
            // One event for all of them, in place of an earlier one that was not written.
            self.events.retain(|event| event.kind != "history_lost");
            let Lost { intervals, seconds, bytes, first, last } = self.lost;
            self.note(
                Severity::Warning,
                "history_lost",
                format!("{intervals} intervals were given up as the disk failed for too long"),
                json!({
                    "intervals": intervals,
                    "seconds": seconds,
                    "bytes": bytes,
                    "from": first,
                    "to": last.saturating_add(self.writer.tiers[0].seconds),
                }),
            );
        }
        // A copy, so that web threads need not wait for the disk.
        let waiting: Vec<Arc<Interval>> = self.recent.lock().pending.values().cloned().collect();
        self.tell_of_a_jump(waiting.first().map(Arc::as_ref))?;
        let batch = Batch {
            intervals: waiting.iter().map(Arc::as_ref).collect(),
            present: self.present,
            set_backs: &self.set_backs,
            events: &self.events,
            is_last,
        };
        let recent = &self.recent;
        self.writer.commit(&batch, |transaction, probe| {
            if waiting.is_empty() {
                return transaction.commit();
            }
            let Some(probe) = probe else {
                // Readers cannot tell before from after: they wait for the disk.
                let mut recent = recent.lock();
                transaction.commit()?;
                recent.pending.clear();
                return Ok(());
            };
            recent.lock().committing = Some(probe);
            let result = transaction.commit();
            let mut recent = recent.lock();
            recent.committing = None;
            if result.is_ok() {
                recent.pending.clear();
            }
            result
        })?;
        status.committed.fetch_add(waiting.len() as u64, Ordering::Relaxed);
        if !self.set_backs.is_empty() {
            self.ahead.begin_again();
        }
        self.ahead.note_arrival(waiting.iter().map(|interval| interval.covered_seconds()).sum());
        status.waiting.store(0, Ordering::Relaxed);
        self.set_backs.clear();
        self.events.clear();
        self.lost = Lost::default();
        Ok(())
    }

    /// Reports a jump of the clock over more than the time that the finest tier is kept, and what
    /// is deleted because of it.
    fn tell_of_a_jump(&mut self, first: Option<&Interval>) -> rusqlite::Result<()> {
        let newest = if self.set_backs.is_empty() { self.writer.newest()? } else { None };
        let (Some(first), Some(newest)) = (first, newest) else { return Ok(()) };
        let least = self.writer.tiers.first().map_or(0, |tier| tier.keep).max(JUMP);
        if first.start.saturating_sub(newest) <= least || self.jump_told == Some(newest) {
            return Ok(());
        }
        self.jump_told = Some(newest);
        let tiers = self.writer.too_old(self.present.unwrap_or(first.start))?;
        let gone = match tiers.is_empty() {
            true => String::new(),
            false => format!(
                "; rows of {} are too old by it and go, {PACE} seconds for each one that is recorded",
                tiers.join(", ")
            ),
        };
        let ahead = first.start - newest;
        let reason = format!(
            "the clock is {} days past the newest row; if that is wrong, set it right{gone}",
            ahead / 86_400
        );
        warn!("{}: {reason}", self.path.display());
        let (from, to) = (newest, first.start);
        let evidence = json!({ "from": from, "to": to, "seconds": ahead, "tiers": tiers });
        self.note(Severity::Notice, "clock_jumped", reason, evidence);
        Ok(())
    }

    pub(super) fn tell_of_rows_ahead(&mut self, moved: &ahead::Moved) {
        let present = self.present.unwrap_or(0);
        let reason = format!(
            "rows up to {} days ahead of the clock, {} intervals, are kept in {}; `brightstat query \
             --database` shows them",
            (moved.newest - present) / 86_400 + 1,
            moved.intervals,
            moved.file.display()
        );
        warn!("{}: {reason}", self.path.display());
        let evidence = json!({
            "file": moved.file.display().to_string(),
            "intervals": moved.intervals,
            "from": present,
            "to": moved.newest.saturating_add(self.writer.tiers[0].seconds),
        });
        self.note(Severity::Notice, "history_ahead", reason, evidence);
    }

    /// Moves the damaged database aside and begins a new one.
    fn begin_anew(&mut self, what: &str) -> Result<(), Error> {
        let aside = open::move_aside(&self.path)?;
        warn!(
            "{}: the database is damaged ({what}); kept as {} and begun anew",
            self.path.display(),
            aside.display()
        );
        self.open_again()?;
        self.note_damage(&aside);
        Ok(())
    }

    /// Opens the file that has the database's name now, and continues with it.
    fn open_again(&mut self) -> Result<(), Error> {
        let (writer, aside) = begin(&self.path, &self.options, &self.pulse)?;
        let renumbered = self.writer.take_over(writer);
        self.recent.lock().renumber(&renumbered);
        self.place.note();
        self.ahead.begin_again();
        if let Some(aside) = aside {
            self.note_damage(&aside);
        }
        Ok(())
    }

    /// Checks that the open files are still the ones that others find; reopens them if not.
    ///
    /// # Errors
    /// Another daemon has the lock, a lost database cannot be made anew, or a reader prevents the
    /// checkpoint of a log that was deleted.
    fn look_after_files(&mut self) -> Result<(), Error> {
        self.place.renew_lock()?;
        let Some(change) = self.place.change() else { return Ok(()) };
        let failed = |e: rusqlite::Error| open::failure(&self.path, e);
        if change == Change::LogGone {
            // The log is still open: copy what the database lacks from it.
            let busy =
                self.writer
                    .connection
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            if busy.map_err(failed)? != 0 {
                return Err(Error::LogInUse { path: self.path.clone() });
            }
        }
        // Close it before opening another one, which would find the same log and locks.
        let none = Connection::open_in_memory().map_err(failed)?;
        drop(std::mem::replace(&mut self.writer.connection, none));
        self.place.remove_companions();
        self.open_again()?;
        let what = match change {
            Change::Deleted => {
                "the database was deleted while brightstat was running; a new one is begun, with \
                 what waited in memory"
            }
            Change::Replaced => {
                "the database was replaced while brightstat was running; history goes on in the \
                 file that is there now, with what waited in memory"
            }
            Change::LogGone => {
                "the log of the database (-wal, -shm) was deleted or replaced while brightstat was \
                 running; what it held is in the database"
            }
        };
        warn!("{}: {what}", self.path.display());
        let what_changed = match change {
            Change::Deleted => "deleted",
            Change::Replaced => "replaced",
            Change::LogGone => "log_gone",
        };
        let evidence = json!({ "change": what_changed });
        self.note(Severity::Alarm, "database_gone", what.to_owned(), evidence);
        Ok(())
    }
}

/// Opens the database, compacts it if that is worth it, and prepares the writer.
pub(super) fn begin(
    path: &Path,
    options: &Options,
    pulse: &Arc<Pulse>,
) -> Result<(Writer, Option<PathBuf>), Error> {
    let (connection, aside) = open::open_under(path, pulse)?;
    open::compact_if_worth_it(&connection, options.max_size);
    let writer = Writer::new(connection, &options.tiers, options.limits, options.max_size)
        .map_err(|e| open::failure(path, e))?;
    Ok((writer, aside))
}
