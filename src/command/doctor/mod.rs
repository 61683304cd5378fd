//! `brightstat doctor`: looks for common faults in the field, and says what to do.
//!
//! Each check is a small function that returns findings. Its inputs are arguments, so that tests
//! can make them up. Nothing is changed on the machine.

mod machine;
mod network;
mod service;

use std::fmt::Write as _;

use super::args::DoctorArguments;
use super::print;
use crate::capture::interfaces;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    verdict: Verdict,
    /// The observation.
    what: String,
    /// What to do about it; empty if nothing.
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Good,
    /// May be intended, or could not be checked.
    Note,
    /// Something does not work.
    Problem,
}

fn good(what: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Good, what: what.into(), remedy: String::new() }
}

fn note(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Note, what: what.into(), remedy: remedy.into() }
}

fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Problem, what: what.into(), remedy: remedy.into() }
}

/// Runs all checks and prints their findings.
///
/// # Errors
/// There is a problem (exit code 69), or the configuration is wrong (78).
pub fn run(arguments: &DoctorArguments) -> Result<(), Failure> {
    let mut report = Report::default();
    let (config, findings) = configuration(arguments);
    report.show("Configuration", findings)?;
    let is_good = config.is_some();
    // If the configuration is wrong, check the rest with the defaults.
    let config = config.unwrap_or_default();
    let state = service::look(&config);
    report.show("Service", service::findings(&state))?;
    report.show("To be seen to", service::notices(&state))?;
    report.show("Clock", machine::clock(&state))?;
    report.show("Disk and database", machine::disk(&config.database, state.is_active()))?;
    report.show("Power", machine::power())?;
    let all = interfaces::list();
    let names = network::watched(&config, state.answer());
    report.show("Interfaces", network::interfaces(&names, &all, state.answer()))?;
    report.show("Segments", network::merging(&names))?;
    for name in names.iter().filter(|name| all.iter().any(|i| i.name == **name)) {
        report.show(
            &format!("What {name} sees"),
            network::sight(name, &all, &config, arguments.seconds),
        )?;
    }
    report.end(is_good)
}

fn configuration(arguments: &DoctorArguments) -> (Option<Config>, Vec<Finding>) {
    match config::load(arguments.config.as_deref()) {
        Ok(loaded) => {
            let mut findings: Vec<Finding> = loaded
                .warnings
                .iter()
                .map(|warning| note(warning, "correct the name, or take the line away"))
                .collect();
            let files: Vec<String> = loaded.files.iter().map(|f| f.display().to_string()).collect();
            findings.push(match files[..] {
                [] => good("no file; the defaults hold"),
                _ => good(format!("{} read", files.join(", "))),
            });
            (Some(loaded.config), findings)
        }
        Err(error) => {
            let failure = Failure::from(error);
            let remedy = "correct it; 'brightstat check-config' tells when it is right";
            (None, vec![problem(failure.to_string(), remedy)])
        }
    }
}

/// Prints findings as they come, because checks take seconds, and counts them.
#[derive(Default)]
struct Report {
    problems: usize,
    notes: usize,
}

impl Report {
    fn show(&mut self, title: &str, findings: Vec<Finding>) -> Result<(), Failure> {
        if findings.is_empty() {
            return Ok(());
        }
        let mut text = format!("{title}\n");
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Good => "ok     ",
                Verdict::Note => "note   ",
                Verdict::Problem => "PROBLEM",
            };
            self.problems += usize::from(finding.verdict == Verdict::Problem);
            self.notes += usize::from(finding.verdict == Verdict::Note);
            let _ = writeln!(text, "  {mark}  {}", finding.what);
            if !finding.remedy.is_empty() {
                let _ = writeln!(text, "           -> {}", finding.remedy);
            }
        }
        print(&text)
    }

    fn end(&self, is_config_good: bool) -> Result<(), Failure> {
        let count = |number: usize, thing: &str| match number {
            1 => format!("1 {thing}"),
            _ => format!("{number} {thing}s"),
        };
        if self.problems == 0 {
            let notes = match self.notes {
                0 => String::new(),
                notes => format!(" ({})", count(notes, "note")),
            };
            return print(&format!("\nNo problem found{notes}.\n"));
        }
        let exit = if is_config_good { Exit::Unavailable } else { Exit::Config };
        let text = format!("{} found; each says above what to do", count(self.problems, "problem"));
        Err(Failure::new(exit, text))
    }
}
