//! How the last reload went, for the page, systemd, and the command `brightstat reload`, which
//! `systemctl reload` runs and waits for.
//!
//! The daemon answers the command through a file in the directory that systemd makes for the
//! service (RUNTIME_DIRECTORY of systemd.exec(5)): a signal carries no answer, and inside the
//! unit neither of the two may open an IP socket.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::Error;
use crate::failure::{Coded, Exit};

/// How long the command waits. Opening every interface again takes a second or two; a driver
/// in trouble takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const FILE: &str = "reload";

/// What a configuration came to that was put in force.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The settings that differ and need a restart.
    pub(super) waiting: Vec<String>,
    /// Why a part of it is not in force all the same.
    pub(super) failures: Vec<Error>,
}

/// How the last reload went.
#[derive(Default)]
pub struct Reloads {
    trouble: Mutex<Option<String>>,
    waits_for_restart: Mutex<Vec<String>>,
}

impl Reloads {
    /// Whether the configuration that was read last is in force, and why not, if it or a part of it
    /// is not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One text for each thing that the owner should know.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if let Some(trouble) = self.trouble() {
            notices.push(trouble);
        }
        let waiting = self.waits_for_restart.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            notices.push(format!(
                "These settings were changed and take a restart: {}.\n\
                 sudo systemctl restart brightstat",
                waiting.join(", ")
            ));
        }
        notices
    }

    /// Records how a reload went (the settings that need a restart, or why it failed), and
    /// answers the waiting command.
    pub(super) fn note(&self, outcome: &Result<Applied, Error>) {
        if let Ok(applied) = outcome {
            let mut held = self.waits_for_restart.lock().unwrap_or_else(PoisonError::into_inner);
            held.clone_from(&applied.waiting);
        }
        const REFUSED: &str =
            "The configuration was changed and is not in force; the old one goes on.";
        const PARTLY: &str = "The changed configuration is in force, but for this:";
        let (failure, head, end) = match outcome {
            Ok(applied) => {
                let end = "the rest of the new configuration is in force";
                (applied.failures.first(), PARTLY, end)
            }
            Err(failure) => {
                (Some(failure), REFUSED, "the daemon goes on with the old configuration")
            }
        };
        let trouble = failure.map(|failure| format!("{head}\n{failure}"));
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        answer(failure, end);
    }
}

/// Where the daemon answers, if systemd has made the directory.
fn path() -> Option<PathBuf> {
    let directory = std::env::var_os("RUNTIME_DIRECTORY")?;
    Some(PathBuf::from(directory).join(FILE))
}

/// Writes the answer for the waiting command: the exit code, then the message, and how it goes
/// on.
fn answer(failure: Option<&Error>, end: &str) {
    let Some(path) = path() else { return };
    let told = |failure: &Error| format!("{} {failure}; {end}", failure.exit() as u8);
    let text = failure.map_or_else(|| "0 ".to_owned(), told);
    let new = path.with_extension("new");
    // A new inode each time tells this answer from the one before.
    let _ = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
}

/// The answer to a reload that has not been requested yet.
pub struct Awaited {
    path: PathBuf,
    before: Option<(u64, i64, i64)>,
}

impl Awaited {
    /// Make this before the daemon is told to reload. `None` outside systemd, where there is
    /// no known place for the answer.
    pub fn new() -> Option<Awaited> {
        let path = path()?;
        let before = Awaited::look(&path);
        Some(Awaited { path, before })
    }

    fn look(path: &PathBuf) -> Option<(u64, i64, i64)> {
        fs::metadata(path).ok().map(|m| (m.ino(), m.ctime(), m.ctime_nsec()))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The daemon keeps the old configuration, and why; or it has not answered.
    pub fn wait(&self) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let now = Awaited::look(&self.path);
            if now.is_some() && now != self.before {
                return outcome(&fs::read_to_string(&self.path).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Error::NoAnswer)
    }
}

fn outcome(answer: &str) -> Result<(), Error> {
    let (code, answer) = answer.split_once(' ').unwrap_or((answer, ""));
    let exit = match code.parse::<u8>() {
        Ok(0) => return Ok(()),
        Ok(66) => Exit::NoInput,
        Ok(77) => Exit::Permission,
        Ok(78) => Exit::Config,
        _ => Exit::Unavailable,
    };
    Err(Error::Reload { exit, answer: answer.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_the_daemon_said() {
        assert!(outcome("0 ").is_ok());
        let failure = outcome("78 capture.filter: nonsense; the daemon goes on").unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert_eq!(failure.to_string(), "capture.filter: nonsense; the daemon goes on");
        assert_eq!(outcome("").unwrap_err().exit(), Exit::Unavailable);
    }

    #[test]
    fn a_failed_reload_is_told_until_one_succeeds_and_so_is_what_takes_a_restart() {
        let error = |exit, answer: &str| Error::Reload { exit, answer: answer.to_owned() };
        let reloads = Reloads::default();
        assert!(reloads.notices().is_empty());
        let waiting = vec!["limits.hosts".to_owned()];
        let failures = vec![error(Exit::Unavailable, "eth1: no thread")];
        reloads.note(&Ok(Applied { waiting: waiting.clone(), failures }));
        let notices = reloads.notices();
        assert!(notices[0].contains("is in force, but for this:\neth1: no thread"), "{notices:?}");
        assert!(notices[1].contains("limits.hosts"), "{notices:?}");
        reloads.note(&Ok(Applied { waiting, failures: Vec::new() }));
        assert_eq!(reloads.notices().len(), 1);
        reloads.note(&Err(error(Exit::Config, "x.toml:3: nonsense")));
        let notices = reloads.notices();
        assert!(notices[0].contains("the old one goes on.\nx.toml:3: nonsense"), "{notices:?}");
        assert!(notices[1].contains("limits.hosts"), "{notices:?}");
        reloads.note(&Ok(Applied::default()));
        assert!(reloads.notices().is_empty() && reloads.trouble().is_none());
    }
}
