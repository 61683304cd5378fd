//! The progress of reading a file, on a terminal.
//!
//! It is our own because it is one line of text: a library for it (indicatif) loads the mathematics
//! library into the process, and with its own code a third of a megabyte into the memory of the
//! daemon, which never shows progress.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::export::report::byte_size;

/// Smaller files are read in no time.
const WORTH_A_LINE: u64 = 16 << 20;
const EVERY: Duration = Duration::from_millis(100);
/// Moves to the start of the line and erases it (ECMA-48).
const ERASE: &str = "\r\x1b[K";

/// A line that shows how much of a file has been read; erased when this is dropped.
pub struct Progress {
    path: PathBuf,
    size: u64,
    started: Instant,
    shown: Option<Instant>,
}

impl Progress {
    /// For a file that takes a moment, if standard error is a terminal.
    pub fn of(path: &Path) -> Option<Progress> {
        let size = path.metadata().ok()?.len();
        if size < WORTH_A_LINE || !io::stderr().is_terminal() {
            return None;
        }
        Some(Progress { path: path.to_owned(), size, started: Instant::now(), shown: None })
    }

    /// Shows that `done` bytes have been read, at most ten times a second.
    pub fn show(&mut self, done: u64) {
        let now = Instant::now();
        if self.shown.is_some_and(|shown| now - shown < EVERY) {
            return;
        }
        self.shown = Some(now);
        let text = line(&self.path, done, self.size, now - self.started);
        // If the terminal is closed, nobody needs the progress.
        let _ = write!(io::stderr(), "{ERASE}{text}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let _ = write!(io::stderr(), "{ERASE}");
    }
}

/// `trace.pcap: 45 %, 1.2 GB of 2.7 GB, 12 s left`
fn line(path: &Path, done: u64, size: u64, elapsed: Duration) -> String {
    // `done` is an estimate: it must not exceed the size.
    let done = done.min(size);
    let mut text = format!(
        "{}: {} %, {} of {}",
        path.display(),
        (u128::from(done) * 100).checked_div(u128::from(size)).unwrap_or(100),
        byte_size(done),
        byte_size(size)
    );
    let left = (elapsed.as_millis() * u128::from(size - done)).checked_div(u128::from(done));
    if let Some(left) = left {
        text.push_str(&format!(", {} s left", left.div_ceil(1_000)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_pace_so_far() {
        let shown =
            |done, size, seconds| line(Path::new("a"), done, size, Duration::from_secs(seconds));
        assert_eq!(shown(0, 20_000_000, 3), "a: 0 %, 0 bytes of 20.0 MB");
        assert_eq!(shown(5_000_000, 20_000_000, 3), "a: 25 %, 5.0 MB of 20.0 MB, 9 s left");
        assert_eq!(shown(21_000_000, 20_000_000, 3), "a: 100 %, 20.0 MB of 20.0 MB, 0 s left");
    }
}
