//! `brightstat import`: the owner's settings from the boot partition.
//!
//! Theory of operation. The appliance's image has a partition that any computer can read, with
//! `brightstat.toml` on it. A unit runs this at each boot, before the network and the monitor
//! start. It writes the settings where other programs read them: brightstat's own keys into
//! `conf.d`, the port into a drop-in of the socket, the bridge into files of the network manager.
//! Then it keeps a copy of the file: while both are equal, it leaves alone what somebody has
//! changed on the Pi. A file with a mistake changes nothing; the console, the page, the journal and
//! the exit code report it.

mod bridge;
mod page;
mod place;
pub(crate) mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::args::ImportArguments;
use crate::config;
use crate::daemon::notices;
use crate::failure::{Exit, Failure};
use bridge::Manager;
use place::Place;
use settings::{Mistake, Mode, Settings};

/// The mount points of the boot partition: of Raspberry Pi OS since 2023, and before.
const FILES: [&str; 2] = ["/boot/firmware/brightstat.toml", "/boot/brightstat.toml"];
/// The copy of the last imported file.
const COPY: &str = "/etc/brightstat/bootfs.imported";
const OWN: &str = "/etc/brightstat/conf.d/bootfs.toml";
/// agetty shows the files of this directory after /etc/issue; it is empty after each boot.
const CONSOLE: &str = "/run/issue.d/brightstat-mistakes.issue";
/// A larger file is not a settings file.
const LARGEST: u64 = 64 << 10;
/// Tenths of a second that a bridge waits for a network card; on a Pi 3 it is attached by USB.
const PATIENCE: u32 = 100;

/// Imports the settings.
///
/// # Errors
/// Mistakes in the file, all of them; or a file that cannot be read or written.
pub fn run(arguments: &ImportArguments) -> Result<(), Failure> {
    let place = Place::new(&arguments.root);
    let file = match &arguments.file {
        Some(file) => file.clone(),
        None => match FILES.iter().find(|file| place.has(file)) {
            Some(file) => PathBuf::from(file),
            None => {
                println!("There is no {}; nothing to import.", FILES.join(" and no "));
                return Ok(());
            }
        },
    };
    let done = import(&place, &file);
    let told = match &done {
        Ok(said) => {
            println!("{}: {said}", file.display());
            tell(&place, "")
        }
        Err(failure) => {
            let holds = if place.has(COPY) { "the settings from before" } else { "the defaults" };
            tell(&place, &format!("{failure}\n(None of this file is used; {holds} hold.)\n"))
        }
    };
    done.map(|_| ()).and(told)
}

/// Applies the settings of the file. Returns a summary.
fn import(place: &Place, file: &Path) -> Result<&'static str, Failure> {
    let shown = file.display().to_string();
    let wrong = |mistakes: Vec<Mistake>| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| mistake.tell(&shown)).collect();
        Failure::new(Exit::Config, lines.join("\n"))
    };
    let bytes = read(&place.path(file), &shown)?;
    let text = settings::decode(&bytes).map_err(|mistake| wrong(vec![mistake]))?;
    let settings = settings::read(&text).map_err(wrong)?;
    let is_known = place.read(COPY).as_ref() == Some(&text);
    let bridge = match settings.mode {
        Mode::Bridge => Some(Manager::of(place).ok_or_else(|| {
            wrong(vec![Mistake::new(
                settings.mode_line,
                "mode: a bridge is made by NetworkManager or systemd-networkd, and neither is \
                 enabled on this system",
            )])
        })?),
        _ => None,
    };
    if !is_known {
        configure(place, &settings, &shown)?;
        if page::serve_at(place, settings.port)? {
            read_units_anew(place)?;
        }
    }
    // At each boot: the card may be in another Pi now.
    match bridge {
        Some(manager) => {
            let mac = wait_for_mac(place, &settings.interfaces);
            bridge::make(place, manager, &settings.interfaces, mac.as_deref())?;
        }
        None if !is_known => bridge::remove(place)?,
        None => {}
    }
    if is_known {
        return Ok("nothing has changed since it was imported");
    }
    // Last: after a power cut before this, everything is done again.
    place.write(COPY, &text, 0o644)?;
    Ok("imported")
}

fn read(path: &Path, shown: &str) -> Result<Vec<u8>, Failure> {
    let cannot = |e| Failure::new(Exit::NoInput, format!("{shown}: cannot read it: {e}"));
    let size = fs::metadata(path).map_err(cannot)?.len();
    if size > LARGEST {
        let what = format!("{shown}: {size} bytes are too many for settings; is it another file?");
        return Err(Failure::new(Exit::Config, what));
    }
    fs::read(path).map_err(cannot)
}

/// Writes brightstat's own keys, unless brightstat could not start with them.
fn configure(place: &Place, settings: &Settings, shown: &str) -> Result<(), Failure> {
    let before = place.read(OWN);
    let main = place.path(config::DEFAULT_PATH);
    let check = || config::load(main.exists().then_some(main.as_path()));
    let was_good = check().is_ok();
    place.write(OWN, &settings.configuration(shown), 0o644)?;
    // Each value is valid, but may conflict with another file of the owner's.
    if let (true, Err(error)) = (was_good, check()) {
        match before {
            Some(before) => place.write(OWN, &before, 0o644)?,
            None => place.remove(OWN)?,
        };
        return Err(error.into());
    }
    Ok(())
}

fn wait_for_mac(place: &Place, ethernet_ports: &[String]) -> Option<String> {
    let tries = if place.is_this_machine() { PATIENCE } else { 1 };
    for attempt in 0..tries {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(100));
        }
        if let Some(mac) = bridge::mac(place, ethernet_ports) {
            return Some(mac);
        }
    }
    println!("No network card came in time; the bridge keeps its hardware address.");
    None
}

/// systemd had read the socket's drop-ins before this file existed.
fn read_units_anew(place: &Place) -> Result<(), Failure> {
    if !place.is_this_machine() || !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    let done = Command::new("systemctl").arg("daemon-reload").status();
    if done.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let what =
        "the page's new port is used after the next restart: 'systemctl daemon-reload' failed";
    Err(Failure::new(Exit::Unavailable, what))
}

/// Reports mistakes on the page and the console; an empty text removes the reports.
fn tell(place: &Place, text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        place.remove(CONSOLE)?;
        return place.remove(notices::MISTAKES).map(|_| ());
    }
    place.write(notices::MISTAKES, text, 0o644)?;
    // agetty interprets a backslash as the start of an escape.
    let lines = text.replace('\\', "\\\\");
    let lines: String = lines.lines().map(|line| format!("  {}\n", printable(line))).collect();
    let text = format!("brightstat: a mistake in the settings on the card\n{lines}\n");
    place.write(CONSOLE, &text, 0o644).map(|_| ())
}

/// The owner's text, without characters that control a terminal.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
