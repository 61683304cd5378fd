//! Logs to standard error: with a time for people, with a priority for the journal.
//!
//! Standard error may be a pipe that nobody reads, and a write to it then blocks. So once the
//! daemon has threads, one of them writes the log, from a bounded queue. Logging never blocks.
//! Lines that find the queue full are counted, and the log says how many are missing.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::error::Error;

/// Lines that may wait to be written.
const LINES: usize = 256;
/// How long each of the two steps of a flush waits for a reader that has stopped reading.
const FAREWELL: Duration = Duration::from_secs(1);

/// Set once the log thread runs.
static QUEUE: OnceLock<Queue> = OnceLock::new();

use crate::failure::printable;

struct Logger {
    /// Standard error is the journal, which has its own clock and wants sd-daemon(3)
    /// priorities.
    is_journal: bool,
}

/// Starts logging at `level`. Later calls change the level.
pub fn start(level: LevelFilter) {
    let is_journal = is_journal();
    // Fails if a logger is set already: then only the level changes.
    let _ = log::set_boxed_logger(Box::new(Logger { is_journal }));
    log::set_max_level(level);
}

/// Starts the log thread, which writes from now on. Call this after privileges are given up,
/// which must happen before there are threads.
///
/// # Errors
/// The thread cannot be started.
pub fn hand_to_thread() -> Result<(), Error> {
    let (queue, lines, lost) = Queue::new();
    super::spawn("log", move || write_all(&lines, &lost, &mut std::io::stderr()))?;
    let _ = QUEUE.set(queue);
    Ok(())
}

/// Waits until everything is written, for two seconds at most.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

enum Line {
    Text(String),
    /// Replies once all lines before it are written.
    Flush(SyncSender<()>),
}

struct Queue {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn new() -> (Queue, Receiver<Line>, Arc<AtomicU64>) {
        let (lines, to_write) = sync_channel(LINES);
        let lost = Arc::new(AtomicU64::new(0));
        (Queue { lines, lost: lost.clone() }, to_write, lost)
    }

    /// Never waits.
    fn push(&self, text: String) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Text(text)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (done, when_done) = sync_channel(1);
        let end = std::time::Instant::now() + FAREWELL;
        let mut line = Line::Flush(done);
        while let Err(TrySendError::Full(back)) = self.lines.try_send(line) {
            if std::time::Instant::now() >= end {
                return;
            }
            line = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = when_done.recv_timeout(FAREWELL);
    }
}

/// The body of the log thread. It writes each line with one call, so that lines do not mix
/// with those of others. If standard error is gone, there is no place left to report it.
fn write_all(lines: &Receiver<Line>, lost: &AtomicU64, out: &mut impl Write) {
    for line in lines {
        match line {
            Line::Text(text) => {
                let _ = out.write_all(text.as_bytes());
            }
            Line::Flush(done) => {
                let _ = done.try_send(());
            }
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let text = format!("{count} lines are missing here: nobody read standard error");
            let _ = out.write_all(formatted(is_journal(), Level::Warn, &text).as_bytes());
        }
    }
}

/// A line as it is written.
fn formatted(is_journal: bool, level: Level, text: &dyn std::fmt::Display) -> String {
    // One line each: a line feed in a name must not start a new entry.
    let text = text.to_string();
    let text = printable(&text);
    let (priority, word) = match level {
        Level::Error => (3, "error: "),
        Level::Warn => (4, "warning: "),
        Level::Info => (6, ""),
        Level::Debug | Level::Trace => (7, "debug: "),
    };
    if is_journal {
        return format!("<{priority}>{text}\n");
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timestamp::from_second(since.as_secs() as i64).unwrap_or_default();
    format!("{time} {word}{text}\n")
}

/// Whether standard error is the journal: systemd names its device and inode in a variable
/// (systemd.exec(5)). The variable alone proves nothing, as it may be inherited.
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
        let line = formatted(self.is_journal, record.level(), record.args());
        match QUEUE.get() {
            Some(queue) => queue.push(line),
            None => {
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }

    fn flush(&self) {
        flush();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Writes once for each message.
    struct Valve(Receiver<()>, Vec<u8>);

    impl Write for Valve {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // Open for good once the other end is gone.
            let _ = self.0.recv();
            self.1.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The worker itself wrote to standard error: a pipe that nobody read stopped the counting.
    #[test]
    fn a_reader_who_stands_still_holds_nobody_up_and_what_is_missing_is_told() {
        let (queue, lines, lost) = Queue::new();
        let (open, valve) = sync_channel(0);
        let (counted, written) = thread::scope(|scope| {
            let missing = lost.clone();
            let writer = scope.spawn(move || {
                let mut valve = Valve(valve, Vec::new());
                write_all(&lines, &missing, &mut valve);
                String::from_utf8(valve.1).unwrap()
            });
            for number in 0..2 * LINES {
                queue.push(format!("line {number}\n"));
            }
            let counted = lost.load(Ordering::Relaxed);
            drop((open, queue));
            (counted, writer.join().unwrap())
        });
        let kept = written.lines().filter(|line| line.starts_with("line ")).count();
        assert_eq!(kept as u64 + counted, 2 * LINES as u64);
        assert!(kept >= LINES && counted > 0, "{kept}");
        assert!(written.contains(&format!("{counted} lines are missing here")), "{written}");
    }

    #[test]
    fn what_was_logged_before_a_flush_is_written() {
        let (queue, lines, lost) = Queue::new();
        let (open, valve) = sync_channel(0);
        drop(open);
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let mut valve = Valve(valve, Vec::new());
                write_all(&lines, &lost, &mut valve);
                valve.1
            });
            (0..10).for_each(|_| queue.push("x\n".to_owned()));
            queue.flush();
            drop(queue);
            assert_eq!(writer.join().unwrap(), "x\n".repeat(10).as_bytes());
        });
    }
}
