//! The main thread once everything runs: signals, reload, the watchdog, systemd's status.
//!
//! It feeds the watchdog only while every capture thread, the worker, the store and the names thread
//! progress.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use sd_notify::NotifyState;

use super::clock::ClockState;
use super::error::Error;
use super::interfaces::{Interfaces, local_networks};
use super::names::Names;
use super::reload::{Applied, Reloads};
use super::status::database_size;
use super::worker::{Command, Published};
use super::{Options, admission, logger};
use crate::account::{Direction, LocalNetworks};
use crate::config::Config;
use crate::export::report::{bit_rate, byte_size};
use crate::store;
use crate::web::guard::Guard;

/// How often the interfaces' addresses are read and systemd's status is written.
const LOOK: Duration = Duration::from_secs(10);

pub(super) struct Supervisor {
    pub(super) options: Options,
    pub(super) config: Config,
    pub(super) local: LocalNetworks,
    pub(super) captures: Interfaces,
    pub(super) commands: Sender<Command>,
    pub(super) worker: Thread,
    pub(super) published: Arc<Published>,
    pub(super) store: Arc<store::Status>,
    pub(super) guard: Arc<Guard>,
    pub(super) reloads: Arc<Reloads>,
    pub(super) names: Arc<Names>,
}

/// How far each thread has got.
#[derive(Clone, PartialEq, Eq)]
struct Progress {
    captures: BTreeMap<String, u64>,
    worker: u64,
    store: u64,
    names: u64,
}

impl Progress {
    /// Whether every thread has moved on since `before`.
    fn is_past(&self, before: &Progress) -> bool {
        let captures = self
            .captures
            .iter()
            .all(|(name, rounds)| before.captures.get(name).is_none_or(|earlier| rounds > earlier));
        captures
            && self.worker > before.worker
            && self.store > before.store
            && self.names > before.names
    }
}

impl Supervisor {
    /// Waits for signals until one says to stop.
    pub(super) fn run(&mut self, signals: &SignalFd) {
        let watchdog = sd_notify::watchdog_enabled();
        // systemd recommends a ping at half of its timeout (sd_watchdog_enabled(3)).
        let pause = watchdog.map_or(LOOK, |time| (time / 2).min(LOOK));
        let mut before = self.progress();
        let mut next_look = Instant::now();
        tell(&[NotifyState::Ready]);
        loop {
            let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let milliseconds = u16::try_from(pause.as_millis()).unwrap_or(u16::MAX);
            let _ = poll(&mut fds, PollTimeout::from(milliseconds));
            while let Ok(Some(signal)) = signals.read_signal() {
                match Signal::try_from(signal.ssi_signo as i32) {
                    Ok(Signal::SIGHUP) => self.reload(),
                    Ok(signal) => {
                        info!("{signal}: stopping");
                        tell(&[NotifyState::Stopping]);
                        return;
                    }
                    Err(_) => {}
                }
            }
            let now = self.progress();
            if watchdog.is_some() && now.is_past(&before) {
                tell(&[NotifyState::Watchdog]);
                before = now;
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK;
                self.follow_interfaces();
                self.show_status();
            }
        }
    }

    /// Ends long work of the store and the capture threads, then lets the worker finish.
    pub(super) fn stop(&mut self) {
        self.store.stop();
        self.captures.stop();
        let _ = self.commands.send(Command::Stop);
        self.worker.unpark();
    }

    fn progress(&self) -> Progress {
        let statuses = self.captures.statuses();
        let statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            captures: statuses.iter().map(|(name, s)| (name.clone(), s.rounds())).collect(),
            worker: self.published.heartbeat(),
            store: self.store.heartbeat(),
            names: self.names.rounds(),
        }
    }

    /// Reads the configuration again and reports the outcome to the log, systemd,
    /// `systemctl reload` and the page. A bad configuration leaves the old one in force.
    fn reload(&mut self) {
        tell(&[NotifyState::Reloading]);
        let outcome = self.options.load().and_then(|new| self.apply(new));
        match &outcome {
            Ok(applied) => {
                for failure in &applied.failures {
                    error!("{failure}; the rest of the new configuration is in force");
                }
                info!("configuration reloaded");
            }
            Err(failure) => error!("{failure}; going on with the old configuration"),
        }
        self.reloads.note(&outcome);
        self.show_status();
        tell(&[NotifyState::Ready]);
    }

    /// Puts a configuration in force.
    ///
    /// # Errors
    /// An interface cannot be opened: nothing has changed.
    fn apply(&mut self, mut new: Config) -> Result<Applied, Error> {
        let waiting = new.keep_until_restart(&self.config);
        for key in &waiting {
            warn!("{key} has changed; that takes a restart");
        }
        // Do what may well fail before anything changes.
        let prepared = self.captures.prepare(&new)?;
        let failures = self.captures.apply(prepared, &new);
        logger::start(new.log_level);
        self.store.set_period(new.commit);
        self.names.set_level(new.names);
        self.config = new;
        self.set_local(local_networks(&self.config, &self.captures.names()));
        self.follow_admission();
        Ok(Applied { waiting, failures })
    }

    /// Follows the interfaces' addresses, which DHCP may change. If the configuration names no
    /// interface, also follows the choice of the one to watch.
    fn follow_interfaces(&mut self) {
        if self.config.interfaces.is_empty() {
            let failures = match self.captures.prepare(&self.config) {
                Ok(prepared) => self.captures.apply(prepared, &self.config),
                Err(failure) => vec![failure],
            };
            for failure in failures {
                error!("{failure}; the interfaces stay as they are");
            }
        }
        let local = local_networks(&self.config, &self.captures.names());
        if local != self.local {
            self.set_local(local);
        }
        self.follow_admission();
    }

    /// Updates who is let in, by the configuration and the interfaces' current addresses.
    fn follow_admission(&self) {
        let new = admission(&self.config, &self.captures.names());
        let mut now = self.guard.admission.write().unwrap_or_else(PoisonError::into_inner);
        if *now != new {
            *now = new;
        }
    }

    fn set_local(&mut self, local: LocalNetworks) {
        self.local = local.clone();
        self.names.set_local(local.clone());
        let _ = self.commands.send(Command::Local(local));
        self.worker.unpark();
    }

    /// Everything that a person must fix, each item after a semicolon.
    fn troubles(&self) -> String {
        let mut text = String::new();
        let statuses = self.captures.statuses();
        let statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
        if statuses.is_empty() {
            text.push_str("; waiting for an interface");
        }
        for (name, trouble) in statuses.iter().filter_map(|(name, s)| Some((name, s.trouble()?))) {
            text.push_str(&format!("; {name}: {trouble}"));
        }
        if let Some(trouble) = self.reloads.trouble() {
            text.push_str(&format!("; the changed configuration is not in force: {trouble}"));
        }
        if let Some(trouble) = self.store.trouble() {
            text.push_str(&format!("; {trouble}"));
        }
        text
    }

    fn show_status(&self) {
        let snapshot = self.published.latest();
        let second = snapshot.seconds.last().copied().unwrap_or_default();
        let rate = |direction| bit_rate(second.direction(direction).bytes as f64 * 8.0);
        let clock = match self.published.clock() {
            ClockState::Trusted => String::new(),
            state => format!("; the clock: {}", state.name()),
        };
        let troubles = self.troubles();
        let text = format!(
            "in {}, out {}; {} hosts; {} frames, {} dropped; database {}{clock}{troubles}",
            rate(Direction::In),
            rate(Direction::Out),
            snapshot.hosts.len(),
            snapshot.total.packets,
            snapshot.drops().total(),
            byte_size(database_size(&self.config.database)),
        );
        tell(&[NotifyState::Status(&text)]);
    }
}

/// Notifies systemd, if it runs this process.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
