//! Puts the rooms together: threads, signals, privileges, systemd.
//!
//! Order of a start: everything that needs root (listeners), then root is given up, then
//! the database, then the threads, and last the word to systemd that we are ready. The
//! main thread then waits for signals and looks after the others.

pub mod clock;
mod interfaces;
pub mod logger;
mod machine;
mod nearby;
pub mod notices;
mod outbox;
mod privileges;
pub mod reload;
mod sight;
mod sockets;
mod status;
mod supervise;
pub(crate) mod system_time;
mod timekeeper;
pub mod worker;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, RwLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use log::{info, warn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use sd_notify::NotifyState;

use crate::account::Accounts;
use crate::capture::interfaces::list;
use crate::capture::live::StopSignal;
use crate::config::{self, Config, Loaded};
use crate::failure::{Exit, Failure};
use crate::store::{self, Limits, Store};
use crate::web::Answers;
use crate::web::guard::{Counts, Guard};
use crate::web::names::Admission;
use interfaces::Interfaces;
use status::Status;
use worker::{Plan, Published, Worker};

/// The stacks of the threads that answer requests: reading a file of time zone rules, or
/// packing an answer, takes more than 256 KiB in a debug build (measured). What is not
/// touched is not resident.
const ANSWERING_STACK: usize = 1 << 20;
const STACK: usize = 256 << 10;
/// Of the store thread, which also brings old databases to a new schema.
const STORE_STACK: usize = 1 << 20;
/// How often a start that takes long looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);

/// How the daemon was called: what on the command line goes before the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--interface`, any number of times.
    pub interfaces: Vec<String>,
    /// `--listen`, any number of times.
    pub listen: Vec<SocketAddr>,
    /// `--database`.
    pub database: Option<PathBuf>,
}

impl Options {
    /// Reads the configuration and puts the command line over it.
    ///
    /// # Errors
    /// See [`config::load`].
    pub fn load(&self) -> Result<Config, Failure> {
        let mut loaded = config::load(self.config.as_deref())?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let config = &mut loaded.config;
        if !self.interfaces.is_empty() {
            config.interfaces.clone_from(&self.interfaces);
        }
        if !self.listen.is_empty() {
            config.listen.clone_from(&self.listen);
        }
        if let Some(database) = &self.database {
            config.database = std::path::absolute(database).unwrap_or_else(|_| database.clone());
        }
        check(&loaded)?;
        Ok(loaded.config)
    }
}

/// Checks what a configuration says beyond the single values: what only the parts of the
/// daemon can tell, without changing anything and without any right.
///
/// # Errors
/// What is wrong, with file and line where that is known.
pub fn check(loaded: &Loaded) -> Result<(), Failure> {
    interfaces::check(&loaded.config).map_err(|failure| match loaded.place("capture", "filter") {
        Some(place) => Failure::new(failure.exit, format!("{place}: {failure}")),
        None => failure,
    })
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting. Once it runs, nothing but a signal ends it.
pub fn run(options: &Options) -> Result<(), Failure> {
    let inherited = sockets::inherited()?;
    let waiting: Vec<TcpListener> = inherited.iter().filter_map(|l| l.try_clone().ok()).collect();
    let outcome = start(options, inherited).inspect_err(|failure| {
        // What `systemctl status` shows of a service that could not start.
        supervise::tell(&[NotifyState::Status(&failure.to_string())]);
        sockets::excuse(&waiting, failure);
    });
    logger::flush();
    outcome
}

fn start(options: &Options, inherited: Vec<TcpListener>) -> Result<(), Failure> {
    logger::start(log::LevelFilter::Info);
    let config = options.load()?;
    logger::start(config.log_level);
    // Blocked before the first thread is made, so that only our descriptor gets them.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    let no_signals = |e| Failure::new(Exit::Unavailable, format!("cannot watch for signals: {e}"));
    signals.thread_block().map_err(no_signals)?;
    // A file that reaches the unit's LimitFSIZE= is then an error of write(2), which the store
    // tells and survives, and not the end of the process (setrlimit(2)).
    SigSet::from(Signal::SIGXFSZ).thread_block().map_err(no_signals)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK).map_err(no_signals)?;

    let names = interfaces::choose(&config, !options.interfaces.is_empty())?;
    let listeners = sockets::listen(&config, inherited)?;
    privileges::drop_root(&config.user, &config.database)?;
    logger::hand_to_thread()?;
    let tiers = config.tiers();
    let limits = Limits {
        hosts: config.hosts_per_interval,
        ports: config.ports_per_interval,
        services: config.services_per_interval,
    };
    let options_of_store =
        store::Options { tiers: tiers.clone(), limits, max_size: config.max_size };
    let store_status = Arc::new(store::Status::new(config.commit));
    let (intervals, to_store) = mpsc::sync_channel(64);
    let (path, status) = (config.database.clone(), store_status.clone());
    let (opened, is_open) = mpsc::sync_channel(1);
    let body = move || match Store::open_under(&path, options_of_store, status.pulse()) {
        Ok(store) => {
            let _ = opened.send(Ok((store.recent(), store.newest())));
            store.run(&to_store, &status);
        }
        Err(failure) => drop(opened.send(Err(failure))),
    };
    let store = spawn_with("store", STORE_STACK, body)?;
    // To bring a large database to other tiers takes a while.
    let (recent, newest) = loop {
        match is_open.recv_timeout(LOOK) {
            Ok(Err(_)) if store_status.pulse().is_stopping() => {
                info!("stopped before the database was ready");
                return Ok(());
            }
            Ok(result) => break result?,
            // The configuration has just been read: there is nothing to reload.
            Err(RecvTimeoutError::Timeout) => {
                let signal = signals.read_signal().ok().flatten();
                let stops = |signal: siginfo| signal.ssi_signo != Signal::SIGHUP as u32;
                if signal.is_some_and(stops) {
                    store_status.stop();
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let text = "the store thread ended badly".to_owned();
                return Err(Failure::new(Exit::Unavailable, text));
            }
        }
    };

    let published = Arc::new(Published::default());
    let (commands, to_worker) = mpsc::channel();
    let local = interfaces::local_networks(&config, &names);
    let plan = Plan {
        base: tiers.iter().find(|tier| !tier.in_memory).map_or(60, |tier| tier.seconds),
        fine: tiers.first().filter(|tier| tier.in_memory).map(|tier| tier.seconds),
        hosts: config.hosts_per_interval,
        ports: config.ports_per_interval,
        services: config.services_per_interval,
        clock_wait: config.clock_wait,
        newest,
    };
    let worker = Worker::new(Accounts::new(config.hosts, local.clone()));
    let shared = published.clone();
    let worker = spawn("worker", move || worker.run(&to_worker, &shared, intervals, plan))?;

    let mut captures = Interfaces::new(commands.clone(), worker.thread().clone());
    for name in &names {
        captures.watch(name, &config, None)?;
    }

    let guard = Arc::new(Guard {
        admission: RwLock::new(admission(&config, &names)),
        connections: config.connections,
        connections_per_address: config.connections_per_address,
        counts: Counts::default(),
    });
    let reloads = Arc::new(reload::Reloads::default());
    let mut web = Status::new(&config, &published, &store_status, &captures, &guard, &recent);
    web.reloads = reloads.clone();
    let web = Arc::new(web);
    let answers = Arc::new(Answers::new(web, config.connections));
    let making = answers.clone();
    let answering = spawn_with("answers", ANSWERING_STACK, move || making.run())?;
    let making = answers.clone();
    let history = spawn_with("history", ANSWERING_STACK, move || making.run_history())?;
    let making = answers.clone();
    let long = spawn_with("history-long", ANSWERING_STACK, move || making.run_long_history())?;
    let over = StopSignal::new().map_err(no_signals)?;
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|l| l.local_addr().ok()).collect();
    let (guarding, asked, stop) = (guard.clone(), answers.clone(), over.clone());
    let body = move || crate::web::guard::run(&guarding, &asked, &listeners, &stop);
    let guarding = spawn("guard", body)?;

    for address in &addresses {
        info!("the page is at {}", sockets::url(*address, &names));
    }
    let mut supervisor = supervise::Supervisor {
        options: options.clone(),
        config,
        local,
        captures,
        commands,
        worker: worker.thread().clone(),
        published,
        store: store_status.clone(),
        guard,
        reloads,
    };
    supervisor.run(&signals);

    let written = store_status;
    // Who has asked gets his answer while everybody is there to give it.
    over.stop();
    join("guard", guarding);
    // Down the flow, each room finishing what the one before has given it.
    supervisor.stop();
    drop(supervisor);
    join("worker", worker);
    join("store", store);
    answers.close();
    join("answers", answering);
    join("history", history);
    join("history-long", long);
    match (written.waiting(), written.trouble()) {
        (0, None) => info!("stopped; all counts are written"),
        (lost, _) => warn!("stopped; {lost} intervals could not be written"),
    }
    Ok(())
}

/// Who may ask the web server, by this configuration.
fn admission(config: &Config, watched: &[String]) -> Admission {
    let near = nearby::nearby(&list(), watched, nearby::forwards());
    let number = |name: &String| nix::net::if_::if_nametoindex(name.as_str()).ok();
    let links = near.interfaces.iter().filter_map(number).collect();
    let host_name = nix::unistd::gethostname().unwrap_or_default();
    let host_name = host_name.to_string_lossy();
    Admission::new(near.prefixes, links, config.allow.clone(), &host_name, &config.host_names)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    spawn_with(name, STACK, body)
}

fn spawn_with(
    name: &str,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Failure> {
    thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(body).map_err(|e| {
        Failure::new(Exit::Unavailable, format!("cannot start the {name} thread: {e}"))
    })
}

fn join(name: &str, thread: JoinHandle<()>) {
    if thread.join().is_err() {
        warn!("the {name} thread ended badly");
    }
}
