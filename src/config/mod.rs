//! `brightstat.toml`: every setting typed, with a default, a meaning and checks.
//!
//! One table, [`keys::KEYS`], holds them all. Reading a file, the shipped sample and the
//! manual page use this table, so they cannot disagree. The files in `conf.d/` beside the
//! main one are read after it, in the order of their names; the last value counts.

mod error;
pub mod keys;
pub mod sample;
mod tiers;
mod units;
mod value;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;
use toml::de::{DeTable, DeValue};

pub use error::{Error, Place};
pub use tiers::Tier;
pub use units::seconds;

/// The main configuration file by default.
pub const DEFAULT_PATH: &str = "/etc/brightstat/brightstat.toml";

/// `names.level`: which names are learned by listening.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamesLevel {
    /// All.
    All,
    /// Only what devices at home are called.
    Local,
    /// None: there is no second handle.
    None,
}

impl NamesLevel {
    /// All of them.
    pub const ALL: [NamesLevel; 3] = [NamesLevel::All, NamesLevel::Local, NamesLevel::None];

    /// The name in the configuration and the API.
    pub fn name(self) -> &'static str {
        match self {
            NamesLevel::All => "all",
            NamesLevel::Local => "local",
            NamesLevel::None => "none",
        }
    }
}

/// All settings. [`keys::KEYS`] has the meaning of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `capture.interfaces`; empty leaves the choice to the daemon.
    pub interfaces: Vec<String>,
    /// `capture.promiscuous`.
    pub promiscuous: bool,
    /// `capture.snap_length`, bytes.
    pub snap_length: u32,
    /// `capture.kernel_buffer`, bytes.
    pub kernel_buffer: u32,
    /// `capture.filter`.
    pub filter: String,
    /// `capture.ring`, records.
    pub ring: usize,
    /// `network.local`; empty means the private ranges and the interfaces' own prefixes.
    pub local: Vec<IpNet>,
    /// `names.level`.
    pub names: NamesLevel,
    /// `limits.hosts`.
    pub hosts: usize,
    /// `history.database`.
    pub database: PathBuf,
    /// `history.commit`.
    pub commit: Duration,
    /// `history.schema`.
    schema: tiers::Schema,
    /// `history.keep`.
    keep: tiers::Keep,
    /// `history.store_seconds`.
    store_seconds: bool,
    /// `history.max_size`, bytes.
    pub max_size: u64,
    /// `history.clock_wait`.
    pub clock_wait: Duration,
    /// `history.hosts_per_interval`.
    pub hosts_per_interval: usize,
    /// `history.ports_per_interval`.
    pub ports_per_interval: usize,
    /// `history.services_per_interval`.
    pub services_per_interval: usize,
    /// `web.listen`.
    pub listen: Vec<SocketAddr>,
    /// `web.host_names`.
    pub host_names: Vec<String>,
    /// `web.allow`.
    pub allow: Vec<IpNet>,
    /// `web.connections`.
    pub connections: usize,
    /// `web.connections_per_address`.
    pub connections_per_address: usize,
    /// `daemon.user`; empty means to pick one.
    pub user: String,
    /// `daemon.log_level`.
    pub log_level: LevelFilter,
}

/// A configuration that has been read, and where it came from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The files they came from, in the order in which they were read.
    pub files: Vec<PathBuf>,
    /// Mistakes that stop nothing, such as unknown keys; each with file and line.
    pub warnings: Vec<String>,
    /// Where each setting was written last, by section and name.
    places: BTreeMap<(String, String), Place>,
}

impl Loaded {
    /// Where a setting was written last; none if its default holds.
    pub fn place(&self, section: &str, name: &str) -> Option<&Place> {
        self.places.get(&(section.to_owned(), name.to_owned()))
    }
}

impl Config {
    /// The tiers of history, finest first: `history.schema`, `keep` and `store_seconds`
    /// together. Not empty, and the last is never in memory only.
    pub fn tiers(&self) -> Vec<Tier> {
        tiers::combine(&self.schema, &self.keep, self.store_seconds, true).unwrap_or_default()
    }

    /// Copies the settings that need a restart from the configuration in force. Returns the
    /// names of those that differed, "section.name".
    pub fn keep_until_restart(&mut self, in_force: &Config) -> Vec<String> {
        let mut differed = Vec::new();
        for key in keys::KEYS {
            if let keys::Applies::AtRestart(keep) = key.applies
                && keep(self, in_force)
            {
                differed.push(format!("{}.{}", key.section, key.name));
            }
        }
        differed
    }

    /// Checks that `history.schema`, `keep` and `store_seconds` go together.
    ///
    /// # Errors
    /// What does not.
    pub fn check_tiers(&self) -> Result<(), String> {
        let is_default = self.keep == Config::default().keep;
        tiers::combine(&self.schema, &self.keep, self.store_seconds, is_default).map(|_| ())
    }
}

/// Reads the configuration at `path`, and `conf.d/*.toml` beside it.
///
/// Without a `path` the default one is read if it is there, else the defaults hold.
///
/// # Errors
/// A named file that is not there or not readable, and any value that is wrong: one line
/// with file, line and key.
pub fn load(path: Option<&Path>) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    let main = path.unwrap_or_else(|| Path::new(DEFAULT_PATH));
    match fs::read_to_string(main) {
        Ok(text) => loaded.merge(main, &text)?,
        Err(e) if e.kind() == ErrorKind::NotFound && path.is_none() => {}
        Err(e) => return Err(unreadable(main, e)),
    }
    let directory = main.parent().unwrap_or_else(|| Path::new("")).join("conf.d");
    for path in extra_files(&directory)? {
        let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
        loaded.merge(&path, &text)?;
    }
    loaded.check_tiers()?;
    Ok(loaded)
}

/// The files `*.toml` of a directory in the order of their names; none if it is not there. Any
/// other trouble is an error: unreadable settings must not pass for absent ones.
fn extra_files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(directory, e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(directory, e))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::Read { path: path.to_owned(), source }
}

impl Loaded {
    /// Checks the tiers, whose settings may come from several files.
    pub(crate) fn check_tiers(&self) -> Result<(), Error> {
        let c = &self.config;
        let place = self.place("history", "keep");
        let combined = tiers::combine(&c.schema, &c.keep, c.store_seconds, place.is_none());
        combined.map(|_| ()).map_err(|problem| {
            let (section, name) = ("history".to_owned(), "keep".to_owned());
            Error::Value { place: place.cloned(), section, name, problem }
        })
    }

    /// Reads one file on top of the settings so far.
    pub(crate) fn merge(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let shown = path.display();
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let place = |at: usize| Place { path: path.to_owned(), line: line(at) };
        let table = DeTable::parse(text).map_err(|source| {
            let at = source.span().map_or(0, |span| span.start);
            Error::Syntax { place: place(at), source }
        })?;
        // The table is sorted by name; people read warnings in the order of lines.
        let mut warnings = BTreeMap::new();
        for (section, content) in table.get_ref() {
            let name = section.get_ref();
            let at = line(section.span().start);
            let known = keys::KEYS.iter().any(|key| key.section == name);
            let DeValue::Table(content) = content.get_ref() else {
                warnings.insert(at, match keys::KEYS.iter().find(|key| key.name == name) {
                    Some(key) => format!(
                        "{shown}:{at}: '{name}' stands outside its section and is ignored; put it under [{}]",
                        key.section
                    ),
                    None => format!("{shown}:{at}: unknown key '{name}' is ignored"),
                });
                continue;
            };
            if !known {
                warnings.insert(at, format!("{shown}:{at}: unknown section [{name}] is ignored"));
                continue;
            }
            for (key, value) in content {
                let at = line(key.span().start);
                let found =
                    keys::KEYS.iter().find(|k| k.section == name && k.name == key.get_ref());
                let key_name = key.get_ref();
                let Some(found) = found else {
                    let warning =
                        format!("{shown}:{at}: unknown key '{name}.{key_name}' is ignored");
                    warnings.insert(at, warning);
                    continue;
                };
                let place = place(value.span().start);
                let (section, name) = (name.to_string(), key_name.to_string());
                if let Err(problem) = (found.set)(&mut self.config, value.get_ref()) {
                    return Err(Error::Value { place: Some(place), section, name, problem });
                }
                self.places.insert((section, name), place);
            }
        }
        self.files.push(path.to_owned());
        self.warnings.extend(warnings.into_values());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
