//! Which interfaces are watched, and their capture threads.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use log::{info, warn};

use super::worker::Command;
use crate::account::LocalNetworks;
use crate::capture::interfaces::{list, usual};
use crate::capture::live::{self, Options, Status, StopSignal, explain};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::ring::ring;

/// An interface opens within a fraction of a second; a driver in trouble must not keep the
/// others and the page waiting for longer than this.
const OPENING: Duration = Duration::from_secs(5);

/// The interfaces to watch: those of the configuration, else the [`usual`] one. Tries each
/// once, so that what will never work is said at the start.
///
/// # Errors
/// An interface that somebody has just typed (`is_typed`) and that does not exist; no
/// permission to capture; a filter that does not compile.
pub(super) fn choose(config: &Config, is_typed: bool) -> Result<Vec<String>, Failure> {
    let names = names(config, None);
    if names.is_empty() {
        warn!(
            "there is no interface to watch yet; waiting for one ('brightstat interfaces' \
             lists them, capture.interfaces names one)"
        );
    }
    for name in &names {
        let Err(error) = live::open(name, &options(config)) else {
            continue;
        };
        let text = explain(&error);
        let known: Vec<String> = list().into_iter().map(|interface| interface.name).collect();
        let is_absent = !known.contains(name);
        if is_absent && is_typed {
            return Err(Failure::new(
                Exit::NoInput,
                format!("{name}: there is no such interface; there are {}", known.join(", ")),
            ));
        }
        if text.contains("no permission") {
            return Err(Failure::new(Exit::Permission, format!("{name}: {text}")));
        }
        if !is_absent
            && (text.contains("syntax") || text.contains("filter"))
            && !config.filter.is_empty()
        {
            return Err(Failure::new(
                Exit::Config,
                format!("capture.filter: \"{}\": {text}; see pcap-filter(7)", config.filter),
            ));
        }
        // Anything else may change: the capture thread goes on trying, and says so.
    }
    Ok(names)
}

/// What the configuration wants watched, given what is watched now.
fn names(config: &Config, current: Option<&str>) -> Vec<String> {
    if config.interfaces.is_empty() {
        return usual(current).into_iter().collect();
    }
    let mut names = config.interfaces.clone();
    names.sort();
    names.dedup();
    names
}

/// What counts as inside: the configured prefixes, else the private ranges and those of
/// the watched interfaces.
pub(super) fn local_networks(config: &Config, names: &[String]) -> LocalNetworks {
    if !config.local.is_empty() {
        return LocalNetworks::exactly(config.local.clone());
    }
    let watched = list().into_iter().filter(|interface| names.contains(&interface.name));
    // A prefix of length 0 (a point-to-point link) says nothing about what is inside.
    let prefixes = watched.flat_map(|i| i.addresses).filter(|net| net.prefix_len() > 0);
    LocalNetworks::private_and(prefixes.collect())
}

fn options(config: &Config) -> Options {
    Options {
        snap_length: config.snap_length,
        kernel_buffer: config.kernel_buffer,
        promiscuous: config.promiscuous,
        filter: config.filter.clone(),
    }
}

struct Capture {
    options: Options,
    stop: Arc<StopSignal>,
    thread: JoinHandle<()>,
}

/// The status of each capture thread, by interface.
pub(super) type Statuses = Arc<Mutex<BTreeMap<String, Arc<Status>>>>;

/// The capture threads.
pub(super) struct Interfaces {
    captures: BTreeMap<String, Capture>,
    statuses: Statuses,
    commands: Sender<Command>,
    worker: Thread,
}

impl Interfaces {
    pub(super) fn new(commands: Sender<Command>, worker: Thread) -> Result<Interfaces, Failure> {
        Ok(Interfaces {
            captures: BTreeMap::new(),
            statuses: Statuses::default(),
            commands,
            worker,
        })
    }

    pub(super) fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.captures.keys().cloned().collect()
    }

    /// Starts a capture thread for an interface, and waits until it captures or knows why not:
    /// whoever is told that we are ready may rely on being counted.
    pub(super) fn watch(&mut self, name: &str, config: &Config) -> Result<(), Failure> {
        let options = options(config);
        let stop = StopSignal::new().map_err(|e| {
            Failure::new(
                Exit::Unavailable,
                format!("{name}: cannot watch for the stop signal: {e}"),
            )
        })?;
        let (sender, receiver) = ring(config.ring, self.worker.clone());
        let status = Arc::new(Status::default());
        // The worker must know the ring before the first frame is in it.
        let _ = self.commands.send(Command::Watch(name.to_owned(), receiver, status.clone()));
        self.worker.unpark();
        self.lock().insert(name.to_owned(), status.clone());
        let (own_name, own_options, own_stop) = (name.to_owned(), options.clone(), stop.clone());
        let (tried, first) = mpsc::sync_channel(1);
        let thread = super::spawn("capture", move || {
            live::run(&own_name, &own_options, sender, &status, &own_stop, &tried);
        })?;
        if first.recv_timeout(OPENING).is_err() {
            warn!("{name}: the kernel is slow to open it; going on without waiting");
        }
        self.captures.insert(name.to_owned(), Capture { options, stop, thread });
        Ok(())
    }

    /// Starts and ends capture threads so that they are what the configuration wants.
    pub(super) fn reconfigure(&mut self, config: &Config) -> Result<(), Failure> {
        let wanted = names(config, self.captures.keys().next().map(String::as_str));
        let options = options(config);
        let gone: Vec<String> = self
            .captures
            .iter()
            .filter(|(name, capture)| !wanted.contains(name) || capture.options != options)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(capture) = self.captures.remove(&name) {
                capture.stop.stop();
                finish(&name, capture);
                self.lock().remove(&name);
                info!("{name}: no longer capturing");
            }
        }
        for name in wanted {
            if !self.captures.contains_key(&name) {
                self.watch(&name, config)?;
            }
        }
        Ok(())
    }

    /// Ends all capture threads; each drains the kernel's ring first.
    pub(super) fn stop(&mut self) {
        for capture in self.captures.values() {
            capture.stop.stop();
        }
        for (name, capture) in std::mem::take(&mut self.captures) {
            finish(&name, capture);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Status>>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish(name: &str, capture: Capture) {
    if capture.thread.join().is_err() {
        warn!("{name}: the capture thread ended badly");
    }
}
