//! Puts the rooms together: threads, signals, privileges, systemd.
//!
//! The main thread starts the daemon in this order: what needs root (listeners), giving up
//! root, the database, the threads, and last "ready" to systemd. After that it waits for
//! signals and supervises the others.

pub mod clock;
pub mod error;
mod interfaces;
pub mod logger;
mod machine;
mod names;
mod nearby;
pub mod notices;
mod outbox;
mod privileges;
pub mod reload;
mod seconds;
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
use crate::failure::printable_lines;
use crate::store::{self, Limits, Store};
use crate::web::Answers;
use crate::web::guard::{Counts, Guard};
use crate::web::names::Admission;
pub use error::Error;
use interfaces::Interfaces;
use status::Status;
use worker::{Plan, Published, Worker};

/// Stack of the threads that answer requests, bytes. Reading a file of time zone rules, or
/// compressing an answer, takes more than 256 KiB in a debug build (measured). Untouched
/// stack is not resident.
const ANSWERING_STACK: usize = 1 << 20;
const STACK: usize = 256 << 10;
/// Stack of the store thread, which also migrates old databases.
const STORE_STACK: usize = 1 << 20;
/// Stack of the names thread, which reads what strangers send.
const NAMES_STACK: usize = 512 << 10;
/// How often a slow start checks for a signal to stop.
const LOOK: Duration = Duration::from_millis(200);

/// Options of the command line, which override the configuration.
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
    /// Reads the configuration and applies the command line on top.
    ///
    /// # Errors
    /// See [`config::load`].
    pub fn load(&self) -> Result<Config, Error> {
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

/// Checks what only the daemon's own parts can judge, such as the capture filter. Changes
/// nothing and needs no privilege.
///
/// # Errors
/// What is wrong, with file and line if known.
pub fn check(loaded: &Loaded) -> Result<(), Error> {
    interfaces::check(&loaded.config, loaded.place("capture", "filter"))
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Anything that prevents the start. Once it runs, only a signal ends it.
pub fn run(options: &Options) -> Result<(), Error> {
    let inherited = sockets::inherited()?;
    let waiting: Vec<TcpListener> = inherited.iter().filter_map(|l| l.try_clone().ok()).collect();
    let outcome = start(options, inherited).inspect_err(|error| {
        let text = error.to_string();
        let text = printable_lines(&text);
        // `systemctl status` shows this for a service that could not start.
        supervise::tell(&[NotifyState::Status(&text)]);
        sockets::excuse(&waiting, &text);
    });
    logger::flush();
    outcome
}

fn start(options: &Options, inherited: Vec<TcpListener>) -> Result<(), Error> {
    logger::start(log::LevelFilter::Info);
    let config = options.load()?;
    logger::start(config.log_level);
    // Block the signals before the first thread starts, so that only our descriptor gets them.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().map_err(Error::Signals)?;
    // A file that reaches the unit's LimitFSIZE= then fails write(2), which the store reports
    // and survives. Unblocked, the signal would end the process (setrlimit(2)).
    SigSet::from(Signal::SIGXFSZ).thread_block().map_err(Error::Signals)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK).map_err(Error::Signals)?;

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
    // Converting a large database to other tiers takes a while.
    let (recent, newest) = loop {
        match is_open.recv_timeout(LOOK) {
            Ok(Err(_)) if store_status.pulse().is_stopping() => {
                info!("stopped before the database was ready");
                return Ok(());
            }
            Ok(result) => break result?,
            // Ignore SIGHUP: the configuration has just been read.
            Err(RecvTimeoutError::Timeout) => {
                let signal = signals.read_signal().ok().flatten();
                let stops = |signal: siginfo| signal.ssi_signo != Signal::SIGHUP as u32;
                if signal.is_some_and(stops) {
                    store_status.stop();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Error::StoreThread),
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

    let mut captures = Interfaces::new(&config, commands.clone(), worker.thread().clone());
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
    let heard = Arc::new(names::Names::new(config.names, local.clone()));
    let mut web =
        Status::new(&config, &published, &store_status, &captures, &guard, &recent, &heard);
    web.reloads = reloads.clone();
    let web = Arc::new(web);
    let answers = Arc::new(Answers::new(web, config.connections));
    let making = answers.clone();
    let answering = spawn_with("answers", ANSWERING_STACK, move || making.run())?;
    let making = answers.clone();
    let history = spawn_with("history", ANSWERING_STACK, move || making.run_history())?;
    let making = answers.clone();
    let long = spawn_with("history-long", ANSWERING_STACK, move || making.run_long_history())?;
    let over = StopSignal::new().map_err(Error::Signals)?;
    let (shared, statuses, stop) = (heard.clone(), captures.statuses(), over.clone());
    let is_promiscuous = captures.is_promiscuous();
    let body = move || names::run(&shared, &statuses, &is_promiscuous, &stop);
    let listening = spawn_with("names", NAMES_STACK, body)?;
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
        names: heard,
    };
    supervisor.run(&signals);

    let written = store_status;
    // Stop the web server first: its open requests still need the worker and the store.
    over.stop();
    join("guard", guarding);
    join("names", listening);
    // Then down the flow: each thread finishes what the one before has handed over.
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

/// Who may use the web server under this configuration.
fn admission(config: &Config, watched: &[String]) -> Admission {
    let near = nearby::nearby(&list(), watched, nearby::forwards());
    let number = |name: &String| nix::net::if_::if_nametoindex(name.as_str()).ok();
    let links = near.interfaces.iter().filter_map(number).collect();
    let host_name = nix::unistd::gethostname().unwrap_or_default();
    let host_name = host_name.to_string_lossy();
    Admission::new(near.prefixes, links, config.allow.clone(), &host_name, &config.host_names)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    spawn_with(name, STACK, body)
}

fn spawn_with(
    name: &str,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let name = name.to_owned();
    let builder = thread::Builder::new().name(name.clone()).stack_size(stack);
    builder.spawn(body).map_err(|source| Error::Thread { name, source })
}

fn join(name: &str, thread: JoinHandle<()>) {
    if thread.join().is_err() {
        warn!("the {name} thread ended badly");
    }
}
