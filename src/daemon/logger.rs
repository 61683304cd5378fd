//! Logging to standard error: for people with a time, for the journal with a priority.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::failure::printable;

struct Logger {
    /// Standard error leads to the journal, which has its own clock and wants sd-daemon(3)
    /// priorities.
    is_journal: bool,
}

/// Starts logging at `level`. Later calls change the level.
pub fn start(level: LevelFilter) {
    let is_journal = is_journal();
    // Fails if a logger is set already: then only the level is new.
    let _ = log::set_boxed_logger(Box::new(Logger { is_journal }));
    log::set_max_level(level);
}

/// Whether standard error leads to the journal: the device and inode that systemd names are
/// its own (systemd.exec(5)); the variable alone may have been inherited.
pub fn is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM");
    stream.is_ok_and(|stream| {
        nix::sys::stat::fstat(std::io::stderr())
            .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
    })
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("brightstat")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (priority, word) = match record.level() {
            Level::Error => (3, "error: "),
            Level::Warn => (4, "warning: "),
            Level::Info => (6, ""),
            Level::Debug | Level::Trace => (7, "debug: "),
        };
        // One line each: a line feed in a name must not begin an entry of its own.
        let message = record.args().to_string();
        let message = printable(&message);
        let line = if self.is_journal {
            format!("<{priority}>{message}\n")
        } else {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = Timestamp::from_second(since.as_secs() as i64).unwrap_or_default();
            format!("{time} {word}{message}\n")
        };
        // One write, so that lines of several threads do not mix. If standard error is
        // gone there is nobody to tell.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}
