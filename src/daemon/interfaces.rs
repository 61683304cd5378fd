//! Chooses the interfaces to watch, and starts, changes and ends their capture threads. The
//! main thread runs this. A reload opens all new handles before it changes anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use log::{info, warn};

use super::error::Error;
use super::worker::Command;
use crate::account::LocalNetworks;
use crate::capture::Trouble;
use crate::capture::handle::check_filter;
use crate::capture::interfaces::{list, usual};
use crate::capture::live::{self, Change, Handle, Options, Orders, Status};
use crate::config::{Config, Place};
use crate::ring::ring;

/// An interface opens within a fraction of a second. A driver in trouble may delay the others
/// and the page for at most this long.
const OPENING: Duration = Duration::from_secs(5);

/// The interfaces to watch: those of the configuration, else the [`usual`] one. Tries each
/// once, to report at the start what will never work.
///
/// # Errors
/// An interface of the command line (`is_typed`) that does not exist; no permission to
/// capture; a filter that does not compile.
pub(super) fn choose(config: &Config, is_typed: bool) -> Result<Vec<String>, Error> {
    let names = names(config, None);
    if names.is_empty() {
        warn!(
            "there is no interface to watch yet; waiting for one ('brightstat interfaces' \
             lists them, capture.interfaces names one)"
        );
    }
    for name in &names {
        let Err(trouble) = live::open(name, &options(config)) else {
            continue;
        };
        match trouble {
            Trouble::Absent if is_typed => {
                let known = list().into_iter().map(|i| i.name).collect();
                return Err(Error::NoInterface { name: name.clone(), known });
            }
            Trouble::NoPermission | Trouble::Filter(_) => {
                return Err(refusal(name, config, trouble));
            }
            // This may pass: the capture thread keeps trying, and says so.
            _ => {}
        }
    }
    Ok(names)
}

/// The error for a trouble that waiting does not cure.
fn refusal(name: &str, config: &Config, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Filter(source) => bad_filter(config, None, source),
        source => Error::Interface { name: name.to_owned(), source },
    }
}

fn bad_filter(config: &Config, place: Option<&Place>, source: pcap::Error) -> Error {
    Error::Filter { place: place.cloned(), filter: config.filter.clone(), source }
}

/// Checks what can be known of [capture] without the right to capture: whether the filter
/// compiles for the interfaces' link types. `place` is where it was written.
///
/// # Errors
/// What is wrong with it.
pub fn check(config: &Config, place: Option<&Place>) -> Result<(), Error> {
    check_filter(&config.filter, &names(config, None)).map_err(|e| bad_filter(config, place, e))
}

/// The interfaces that the configuration wants watched; `current` is watched now.
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
    orders: Arc<Orders>,
    thread: JoinHandle<()>,
}

/// The status of each capture thread, by interface.
pub(super) type Statuses = Arc<Mutex<BTreeMap<String, Arc<Status>>>>;

/// The capture threads.
pub(super) struct Interfaces {
    captures: BTreeMap<String, Capture>,
    statuses: Statuses,
    /// `capture.promiscuous`, as it is in force.
    is_promiscuous: Arc<AtomicBool>,
    commands: Sender<Command>,
    worker: Thread,
}

/// The interfaces that a configuration wants watched. Those that are new or have other settings
/// are already open, as opening may fail.
pub(super) struct Prepared {
    wanted: Vec<String>,
    options: Options,
    /// `None` for an absent interface, which its capture thread waits for.
    handles: BTreeMap<String, Option<Handle>>,
}

impl Interfaces {
    pub(super) fn new(config: &Config, commands: Sender<Command>, worker: Thread) -> Interfaces {
        let (captures, statuses) = (BTreeMap::new(), Statuses::default());
        let is_promiscuous = Arc::new(AtomicBool::new(config.promiscuous));
        Interfaces { captures, statuses, is_promiscuous, commands, worker }
    }

    pub(super) fn is_promiscuous(&self) -> Arc<AtomicBool> {
        self.is_promiscuous.clone()
    }

    pub(super) fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.captures.keys().cloned().collect()
    }

    /// Starts a capture thread for an interface, and waits until it captures or knows why not:
    /// once the daemon is ready, it counts. `handle` is the interface if it is open already.
    ///
    /// # Errors
    /// No descriptor or thread is left.
    pub(super) fn watch(
        &mut self,
        name: &str,
        config: &Config,
        handle: Option<Handle>,
    ) -> Result<(), Error> {
        let options = options(config);
        let orders =
            Orders::new().map_err(|source| Error::Orders { name: name.to_owned(), source })?;
        let (sender, receiver) = ring(config.ring, self.worker.clone());
        let status = Arc::new(Status::default());
        let (own_name, own_options, own_orders) =
            (name.to_owned(), options.clone(), orders.clone());
        let own_status = status.clone();
        let (may_begin, begin) = mpsc::sync_channel(1);
        let (tried, first) = mpsc::sync_channel(1);
        let thread = super::spawn("capture", move || {
            if begin.recv() == Ok(()) {
                live::run(&own_name, own_options, handle, sender, &own_status, &own_orders, &tried);
            }
        })?;
        // The worker must know the ring before the first frame is in it.
        let _ = self.commands.send(Command::Watch(name.to_owned(), receiver, status.clone()));
        self.worker.unpark();
        let _ = may_begin.send(());
        self.lock().insert(name.to_owned(), status);
        self.captures.insert(name.to_owned(), Capture { options, orders, thread });
        if first.recv_timeout(OPENING).is_err() {
            warn!("{name}: the kernel is slow to open it; going on without waiting");
        }
        Ok(())
    }

    /// Opens the interfaces that are new or get other settings. Changes nothing yet.
    ///
    /// # Errors
    /// An interface that is there and cannot be captured with these settings.
    pub(super) fn prepare(&self, config: &Config) -> Result<Prepared, Error> {
        let wanted = names(config, self.captures.keys().next().map(String::as_str));
        let options = options(config);
        let mut handles = BTreeMap::new();
        for name in &wanted {
            let group = match self.captures.get(name) {
                Some(capture) if capture.options == options => continue,
                Some(_) => self.lock().get(name).and_then(|status| status.group()),
                None => None,
            };
            let handle = match Handle::open(name, &options, group) {
                Ok(handle) => Some(handle),
                Err(trouble) if trouble.is_absence() => None,
                Err(trouble) => return Err(refusal(name, config, trouble)),
            };
            handles.insert(name.clone(), handle);
        }
        Ok(Prepared { wanted, options, handles })
    }

    /// Puts the prepared change in force, and waits until it is. Returns what failed all the
    /// same; the other interfaces are as wanted.
    pub(super) fn apply(&mut self, prepared: Prepared, config: &Config) -> Vec<Error> {
        let Prepared { wanted, options, mut handles } = prepared;
        self.is_promiscuous.store(options.promiscuous, Ordering::Relaxed);
        let mut failures = Vec::new();
        let mut changed = Vec::new();
        for name in &wanted {
            let handle = handles.remove(name);
            let Some(capture) = self.captures.get_mut(name) else {
                failures.extend(self.watch(name, config, handle.flatten()).err());
                continue;
            };
            if let Some(handle) = handle {
                let (done, when_done) = mpsc::sync_channel(1);
                capture.options = options.clone();
                capture.orders.change(Change { options: options.clone(), handle, done });
                changed.push((name, when_done));
            }
        }
        for (name, when_done) in changed {
            if when_done.recv_timeout(OPENING).is_err() {
                warn!("{name}: slow to take over its new settings; going on without waiting");
            }
        }
        let gone = self.captures.keys().filter(|name| !wanted.contains(name));
        for name in gone.cloned().collect::<Vec<_>>() {
            if let Some(capture) = self.captures.remove(&name) {
                capture.orders.stop();
                finish(&name, capture);
                self.lock().remove(&name);
                let _ = self.commands.send(Command::Leave(name.clone()));
                self.worker.unpark();
                info!("{name}: no longer capturing");
            }
        }
        failures
    }

    /// Ends all capture threads; each drains the kernel's ring first.
    pub(super) fn stop(&mut self) {
        for capture in self.captures.values() {
            capture.orders.stop();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The notice about a port that is not mirrored had the value of the start.
    #[test]
    fn a_reload_changes_what_is_said_of_the_promiscuous_mode() {
        let (commands, _worker) = mpsc::channel();
        let mut config = Config::default();
        let mut interfaces = Interfaces::new(&config, commands, std::thread::current());
        let is_promiscuous = interfaces.is_promiscuous();
        assert!(is_promiscuous.load(Ordering::Relaxed));
        config.promiscuous = false;
        let (wanted, handles) = (Vec::new(), BTreeMap::new());
        let prepared = Prepared { wanted, options: options(&config), handles };
        assert!(interfaces.apply(prepared, &config).is_empty());
        assert!(!is_promiscuous.load(Ordering::Relaxed));
    }
}
