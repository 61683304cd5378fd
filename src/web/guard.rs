//! The guard: the only code that faces the network. This file accepts connections; [`connection`]
//! serves one, [`limits`] bounds their number, [`refuse`] turns clients away.
//!
//! Each connection has its own thread, which reads and checks a request (see [`super::request`]),
//! gets the answer from [`super::Answers`] and sends it. Further requests may follow on the same
//! connection. Every request and every answer has a deadline, and connections are limited in total
//! and per client, so threads and memory are bounded.

mod connection;
mod limits;
mod refuse;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Answers;
use super::names::Admission;
use super::refused::Refused;
use super::source::Source;
use crate::capture::live::StopSignal;
use limits::Limits;

/// How long open connections may take to finish when the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Connections accepted before the next listener gets its turn.
const TURN: usize = 64;
/// The stack of a connection's thread, which only reads, waits and sends: the threads of
/// [`Answers`] do whatever takes more stack. Decompressing the page for a client without gzip takes
/// more than 128 KiB in a debug build. Untouched stack is not resident.
const STACK: usize = 256 << 10;

/// The settings and counters of the guard.
pub struct Guard {
    /// Who may ask, and under which names; replaced when the networks or the settings change.
    pub admission: RwLock<Admission>,
    /// Connections at the same time.
    pub connections: usize,
    /// The same for one client: an IPv4 address, or a /64 of IPv6.
    pub connections_per_address: usize,
    /// Accepted and refused requests.
    pub counts: Counts,
}

impl Guard {
    /// Whether this client may ask.
    fn admits(&self, client: SocketAddr) -> bool {
        self.admission.read().unwrap_or_else(PoisonError::into_inner).admits(client)
    }
}

/// Accepted and refused requests, since the start.
#[derive(Default)]
pub struct Counts {
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// Connections and requests that were refused.
    pub refused: AtomicU64,
}

impl Counts {
    fn answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a client's address is refused, with the remedy.
const STRANGER: Refused = Refused::new(
    403,
    "Your address is not in a network that this machine is in. The owner of this machine can let \
     other networks in: web.allow in brightstat.toml, for example [\"192.168.7.0/24\"].",
);

/// Accepts connections until `stop`, then gives open ones `LAST_ANSWERS` to finish: the body of
/// the accept thread. Failed accepts and a lack of descriptors or threads do not end it.
///
/// A client that connects after `stop` waits in the kernel's queue. If systemd holds the listener,
/// the next daemon accepts it.
pub fn run<S: Source>(
    guard: &Arc<Guard>,
    answers: &Arc<Answers<S>>,
    listeners: &[TcpListener],
    stop: &StopSignal,
) {
    let limits = Limits::new(answers.recent());
    for listener in listeners {
        if let Err(e) = listener.set_nonblocking(true) {
            warn!("web: cannot make a listener non-blocking: {e}");
        }
    }
    while !stop.is_stopped() {
        let watched = listeners.iter().map(AsFd::as_fd).chain([stop.descriptor()]);
        let mut fds: Vec<PollFd<'_>> =
            watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let _ = poll(&mut fds, PollTimeout::NONE);
        for listener in listeners {
            if stop.is_stopped() {
                break;
            }
            for _ in 0..TURN {
                match listener.accept() {
                    Ok((stream, client)) => admit(guard, answers, &limits, stream, client),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    // The client left before its turn, or the signal was not for us.
                    Err(e)
                        if matches!(
                            e.kind(),
                            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                        ) => {}
                    Err(e) => {
                        // Most likely out of descriptors: those in use will be freed.
                        debug!("web: accept: {e}");
                        thread::sleep(Duration::from_millis(100));
                        break;
                    }
                }
            }
        }
    }
    limits.close();
    let deadline = Instant::now() + LAST_ANSWERS;
    while limits.threads() > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Gives a connection its own thread, or turns it away.
fn admit<S: Source>(
    guard: &Arc<Guard>,
    answers: &Arc<Answers<S>>,
    limits: &Limits,
    stream: TcpStream,
    client: SocketAddr,
) {
    let address = client.ip().to_canonical();
    if !guard.admits(client) {
        debug!("web: {address} is not in a network of this machine; see web.allow");
        return refuse::turn_away(guard, &stream, &STRANGER);
    }
    let stream = Arc::new(stream);
    let Some(slot) = limits.enter(guard, &stream, address) else {
        let why = "Too many connections; try again in a moment.";
        return refuse::turn_away(guard, &stream, &Refused::new(503, why));
    };
    let (guard, answers) = (guard.clone(), answers.clone());
    let spawned = thread::Builder::new()
        .name("web".to_owned())
        .stack_size(STACK)
        .spawn(move || connection::serve(&guard, &answers, &stream, client, &slot));
    if let Err(e) = spawned {
        debug!("web: no thread for {address}: {e}");
    }
}

#[cfg(test)]
mod tests;
