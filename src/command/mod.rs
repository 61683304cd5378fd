//! The command line: runs each subcommand.

pub mod args;
mod doctor;
pub(crate) mod import;
mod progress;
pub mod query;
pub mod report;
pub mod run;

use std::io::{self, Write};

use crate::daemon;
use crate::failure::{Exit, Failure, printable_lines};

/// Runs the requested subcommand.
///
/// # Errors
/// Whatever stopped it, for `main` to print and to turn into the exit code.
pub fn run(arguments: args::Arguments) -> Result<(), Failure> {
    use args::Command;
    match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::CheckConfig(arguments) => run::check_config(&arguments),
        Command::Interfaces => {
            run::list_interfaces();
            Ok(())
        }
        Command::Query(arguments) => query::query(&arguments),
        Command::Backup(arguments) => query::backup(&arguments),
        Command::Db(command) => query::look_after(&command),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Reload { pid, config } => run::reload(pid, config.as_deref()),
        Command::Import(arguments) => import::run(&arguments),
    }
}

/// Reports, to the person or the journal, why the program stopped.
pub fn complain(failure: &Failure) {
    let priority = if daemon::logger::is_journal() { "<3>" } else { "" };
    eprintln!("{priority}brightstat: {failure}");
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    print_with(|out| out.write_all(printable_lines(text).as_bytes()))
}

/// Writes to standard output what may be too long to hold in memory. `write` must keep control
/// characters out of names.
fn print_with(
    write: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        // The reader of the output (`head`, a pager) has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Failure::new(Exit::Io, format!("cannot write to standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}
