//! `brightstat query`, `backup` and `db`.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::args::{BackupArguments, DatabaseArguments, DatabaseCommand, QueryArguments};
use super::{print, print_with};
use crate::ask::when::rfc3339_in;
use crate::ask::{Words, question};
use crate::config;
use crate::export::table::{TextTable, grouped};
use crate::export::{history_csv, history_json, history_text};
use crate::failure::{Exit, Failure};
use crate::store::query::History;
use crate::store::schema::VERSION;
use crate::store::{admin, backups};

/// Points of a one-row table, at most, if `--by` is not given.
const POINTS_OF_A_TABLE: usize = 60;
/// The same for programs.
const POINTS: usize = 400;
/// A week of minutes, thirty years of days.
const POINTS_MOST: usize = 12_000;

/// The selected database: the one on the command line, or the configuration's.
fn database(arguments: &DatabaseArguments) -> Result<PathBuf, Failure> {
    match &arguments.database {
        Some(path) => Ok(path.clone()),
        None => Ok(config::load(arguments.config.as_deref())?.config.database),
    }
}

/// Answers a question from the history.
///
/// # Errors
/// The question makes no sense, or there is no history that can be read.
pub fn query(arguments: &QueryArguments) -> Result<(), Failure> {
    let one = arguments.name.as_deref().unwrap_or("");
    let is_table = !arguments.csv && !arguments.json;
    let by = match arguments.by.as_deref() {
        Some(by) => by,
        // For a service, the question is who used it: one row each.
        None if one.is_empty() || arguments.what.starts_with("service") => "none",
        None => "auto",
    };
    let words = Words {
        what: &arguments.what,
        name: one,
        host: arguments.host.as_deref().unwrap_or(""),
        service: "",
        from: &arguments.from,
        to: &arguments.to,
        by,
        tz: &arguments.tz,
        points: if is_table { POINTS_OF_A_TABLE } else { POINTS },
        most: POINTS_MOST,
        top: arguments.top,
    };
    let (question, zone) =
        question(&words, &Zoned::now()).map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let answer = History::open(&database(&arguments.database)?)?.ask(&question, None)?;
    print_with(|out| match (arguments.json, arguments.csv) {
        (true, _) => history_json::write_json(&answer, &zone, out),
        (_, true) => history_csv::write_csv(&answer, &zone, out),
        _ => history_text::write_table(&answer, &zone, out),
    })
}

/// Copies the database as it is, even while the daemon writes.
///
/// # Errors
/// See [`admin::backup`] and [`backups::backup_dated`].
pub fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let database = database(&arguments.database)?;
    let Some(keep) = arguments.keep else {
        let bytes = admin::backup(&database, &arguments.file)?;
        return print(&format!("{}: {} bytes\n", arguments.file.display(), grouped(bytes)));
    };
    let round = backups::backup_dated(&database, &arguments.file, keep as usize, Timestamp::now())?;
    let mut text = format!("{}: {} bytes\n", round.made.display(), grouped(round.size));
    for old in &round.removed {
        text.push_str(&format!("{}: removed\n", old.display()));
    }
    print(&text)
}

/// Checks, measures or compacts the database.
///
/// # Errors
/// It cannot be read or written, or it is damaged.
pub fn look_after(command: &DatabaseCommand) -> Result<(), Failure> {
    match command {
        DatabaseCommand::Check(arguments) => check(&database(arguments)?),
        DatabaseCommand::Stats(arguments) => stats(&database(arguments)?),
        DatabaseCommand::Compact(arguments) => {
            let path = database(arguments)?;
            let (before, after) = admin::compact(&path)?;
            let (before, after) = (grouped(before), grouped(after));
            print(&format!("{}: {after} bytes, were {before}\n", path.display()))
        }
        DatabaseCommand::Upgrade(arguments) => {
            let path = database(arguments)?;
            match admin::upgrade(&path)? {
                VERSION => print(&format!("{}: has schema {VERSION} already\n", path.display())),
                old => print(&format!("{}: schema {VERSION}, was {old}\n", path.display())),
            }
        }
    }
}

fn check(path: &Path) -> Result<(), Failure> {
    let problems = admin::check(path)?;
    if problems.is_empty() {
        return print(&format!("{}: the database is sound.\n", path.display()));
    }
    print(&format!("{}\n", problems.join("\n")))?;
    let text = format!(
        "{}: {} things are wrong; keep a copy of the file, then move it away: brightstat begins a \
         new one",
        path.display(),
        problems.len()
    );
    Err(Failure::new(Exit::Data, text))
}

fn stats(path: &Path) -> Result<(), Failure> {
    let stats = admin::stats(path)?;
    let time = |seconds: Option<i64>| {
        seconds.map_or_else(|| "-".to_owned(), |seconds| rfc3339_in(seconds, &TimeZone::UTC))
    };
    let mut text = format!(
        "{}: schema {}\n{} bytes, of which {} are free, and {} in the write-ahead log\n\n",
        path.display(),
        stats.schema,
        grouped(stats.size),
        grouped(stats.free),
        grouped(stats.wal)
    );
    let mut heads = vec!["tier", "from", "to", "seconds", "intervals"];
    heads.extend(
        stats.tiers.iter().take(1).flat_map(|tier| tier.rows.iter().map(|(name, _)| *name)),
    );
    let mut table = TextTable::new(3, &heads);
    for tier in &stats.tiers {
        let mut row = vec![
            tier.name.clone(),
            time(tier.first),
            time(tier.last.map(|last| last + i64::from(tier.seconds))),
            tier.seconds.to_string(),
            grouped(tier.intervals),
        ];
        row.extend(tier.rows.iter().map(|(_, rows)| grouped(*rows)));
        table.row(row);
    }
    text.push_str(&table.render());
    if !stats.events.is_empty() {
        text.push_str("\nThe latest events:\n");
        let mut table = TextTable::new(4, &["time", "severity", "kind", "what happened"]);
        for event in stats.events {
            table.row(vec![
                time(Some(event.time)),
                event.severity.name().to_owned(),
                event.kind.into_owned(),
                event.reason,
            ]);
        }
        text.push_str(&table.render());
    }
    print(&text)
}
