//! The main thread once everything runs: signals, reload, the watchdog, systemd's status.

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
use super::interfaces::{Interfaces, local_networks};
use super::status::database_size;
use super::worker::{Command, Published};
use super::{Options, admission, logger};
use crate::account::{Direction, LocalNetworks};
use crate::config::Config;
use crate::export::report::{bit_rate, byte_size};
use crate::store;
use crate::web::guard::Guard;

/// How often the addresses of the interfaces are looked at, and systemd's status written.
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
}

/// How far each thread had got.
#[derive(Clone, PartialEq, Eq)]
struct Progress {
    captures: BTreeMap<String, u64>,
    worker: u64,
    store: u64,
}

impl Progress {
    /// Whether every thread has moved on since `before`.
    fn is_past(&self, before: &Progress) -> bool {
        let captures = self
            .captures
            .iter()
            .all(|(name, rounds)| before.captures.get(name).is_none_or(|earlier| rounds > earlier));
        captures && self.worker > before.worker && self.store > before.store
    }
}

impl Supervisor {
    /// Waits for signals until one says to stop.
    pub(super) fn run(&mut self, signals: &SignalFd) {
        let watchdog = sd_notify::watchdog_enabled();
        // systemd wants to hear within its time; half of it is the custom (sd_notify(3)).
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

    /// Ends the capture threads, then lets the worker finish.
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
        }
    }

    /// Reads the configuration anew. If it is wrong, the old one goes on.
    fn reload(&mut self) {
        tell(&[NotifyState::Reloading]);
        match self.options.load() {
            Ok(new) => {
                self.apply(new);
                info!("configuration reloaded");
            }
            Err(failure) => error!("{failure}; going on with the old configuration"),
        }
        tell(&[NotifyState::Ready]);
    }

    fn apply(&mut self, new: Config) {
        let old = &self.config;
        let fixed = [
            ("history.database", old.database != new.database),
            ("history.schema, keep or store_seconds", old.tiers() != new.tiers()),
            ("history.max_size", old.max_size != new.max_size),
            ("history.clock_wait", old.clock_wait != new.clock_wait),
            ("history.hosts_per_interval", old.hosts_per_interval != new.hosts_per_interval),
            ("history.ports_per_interval", old.ports_per_interval != new.ports_per_interval),
            ("limits.hosts", old.hosts != new.hosts),
            ("capture.ring", old.ring != new.ring),
            ("web.listen", old.listen != new.listen),
            ("web.connections", old.connections != new.connections),
            (
                "web.connections_per_address",
                old.connections_per_address != new.connections_per_address,
            ),
            ("daemon.user", old.user != new.user),
        ];
        for (key, _) in fixed.iter().filter(|(_, is_changed)| *is_changed) {
            warn!("{key} has changed; that takes a restart");
        }
        logger::start(new.log_level);
        self.store.set_period(new.commit);
        if let Err(failure) = self.captures.reconfigure(&new) {
            error!("{failure}; the interfaces stay as they are");
        }
        self.config = new;
        self.set_local(local_networks(&self.config, &self.captures.names()));
    }

    /// Takes over addresses that the interfaces have got since, by DHCP for example; and, if
    /// the configuration leaves the choice to us, the interface that is now the one to watch.
    fn follow_interfaces(&mut self) {
        if self.config.interfaces.is_empty()
            && let Err(failure) = self.captures.reconfigure(&self.config)
        {
            error!("{failure}; the interfaces stay as they are");
        }
        let local = local_networks(&self.config, &self.captures.names());
        if local != self.local {
            self.set_local(local);
        }
    }

    fn set_local(&mut self, local: LocalNetworks) {
        let new = admission(&self.config, local.clone());
        *self.guard.admission.write().unwrap_or_else(PoisonError::into_inner) = new;
        self.local = local.clone();
        let _ = self.commands.send(Command::Local(local));
        self.worker.unpark();
    }

    /// What a person has to see to, each with a semicolon before it.
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

/// Tells systemd, if it is there to hear.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
