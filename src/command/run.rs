//! `brightstat run`, `check-config`, `reload` and `interfaces`.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::args::{CheckArguments, RunArguments};
use crate::capture::interfaces;
use crate::config::{self, Loaded, sample};
use crate::daemon::reload::Awaited;
use crate::daemon::{self, Options};
use crate::export::table::TextTable;
use crate::failure::{Coded, Exit, Failure};

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// See [`daemon::run`].
pub fn run(arguments: RunArguments) -> Result<(), Failure> {
    daemon::run(&Options {
        config: arguments.config,
        interfaces: arguments.interfaces,
        listen: arguments.listen,
        database: arguments.database,
    })?;
    Ok(())
}

/// Reads and checks the configuration, and prints the result.
///
/// # Errors
/// The first mistake, with file, line and key.
pub fn check_config(arguments: &CheckArguments) -> Result<(), Failure> {
    if arguments.sample {
        print!("{}", sample::sample());
        return Ok(());
    }
    let loaded = config::load(arguments.file.as_deref())?;
    for warning in &loaded.warnings {
        eprintln!("brightstat: warning: {warning}");
    }
    if loaded.files.is_empty() {
        println!("{}: not there; the defaults hold", config::DEFAULT_PATH);
    }
    for file in &loaded.files {
        println!("{}: read", file.display());
    }
    daemon::check(&loaded)?;
    println!("The configuration is good.");
    Ok(())
}

/// Makes the daemon reload its configuration, if that is valid. Waits until it is in force, where
/// the daemon can answer: inside its unit.
///
/// # Errors
/// The configuration is wrong, and the daemon has not been signalled; the daemon cannot put it in
/// force; or there is no such process of ours.
pub fn reload(pid: i32, config: Option<&Path>) -> Result<(), Failure> {
    let checked = |loaded: Loaded| daemon::check(&loaded).map(|()| loaded);
    let loaded = config::load(config).map_err(daemon::Error::from).and_then(checked);
    let loaded = loaded.map_err(|error| {
        let message = format!("{error}; the daemon goes on with the old configuration");
        Failure::new(error.exit(), message)
    })?;
    for warning in &loaded.warnings {
        eprintln!("brightstat: warning: {warning}");
    }
    // 0 and negative numbers mean groups of processes.
    let pid = Pid::from_raw(pid.max(1));
    let answer = Awaited::new();
    kill(pid, Signal::SIGHUP).map_err(|e| {
        let exit = if e == Errno::EPERM { Exit::Permission } else { Exit::Unavailable };
        Failure::new(
            exit,
            format!("process {pid}: cannot signal it: {e}; use 'systemctl reload brightstat'"),
        )
    })?;
    answer.map_or(Ok(()), |answer| answer.wait())?;
    Ok(())
}

/// Lists the interfaces.
pub fn list_interfaces() {
    let mut table = TextTable::new(6, &["", "Interface", "state", "speed", "MAC", "addresses"]);
    for interface in interfaces::list() {
        let mark = if interface.has_default_route { "*" } else { "" };
        let state = match (interface.is_up, interface.state.as_str()) {
            (false, _) => "off",
            (true, "unknown" | "") => "on",
            (true, state) => state,
        };
        let speed = interface.speed.map_or(String::new(), |speed| format!("{speed} Mbit/s"));
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        table.row(vec![
            mark.to_owned(),
            interface.name,
            state.to_owned(),
            speed,
            interface.mac.unwrap_or_default(),
            addresses.join(" "),
        ]);
    }
    print!("{}", table.render());
}
