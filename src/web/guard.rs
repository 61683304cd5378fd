//! The guard: the only part that faces the network. This file accepts; [`connection`] has what
//! is done on a connection, [`limits`] how many there are, [`refuse`] how they are turned away.
//!
//! A connection has a thread of its own, which reads and checks a request (see
//! [`super::request`]), has it answered (see [`super::Answers`]), and sends the answer. Further
//! requests may follow on it. Each request and each answer has a deadline, and connections are
//! limited in all and for each client, so threads and memory are bounded.

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
use super::request::Refused;
use super::source::Source;
use crate::capture::live::StopSignal;
use limits::Limits;

/// How long open connections may take to come to their end when the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Connections accepted before the next listener has its turn.
const TURN: usize = 64;
/// The stack of a connection's thread. It reads, waits and sends: whatever takes more stack is
/// done by the threads of [`Answers`]. To decompress the page for a client that cannot takes
/// more than 128 KiB in a debug build. What is not touched is not resident.
const STACK: usize = 256 << 10;

/// What the guard needs to know.
pub struct Guard {
    /// Who may ask, and under which names; may be replaced while running.
    pub admission: RwLock<Admission>,
    /// Connections at the same time.
    pub connections: usize,
    /// The same of one client: an IPv4 address, or a /64 of IPv6.
    pub connections_per_address: usize,
    /// What has been let in and turned away.
    pub counts: Counts,
}

impl Guard {
    /// Whether this client may ask.
    fn admits(&self, client: SocketAddr) -> bool {
        self.admission.read().unwrap_or_else(PoisonError::into_inner).admits(client)
    }
}

/// What has been let in and turned away, since the start.
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

/// Why the address of a client is refused, with the remedy.
const STRANGER: Refused = Refused(
    403,
    "Your address is not in a network that this machine is in. The owner of this machine can let \
     other networks in: web.allow in brightstat.toml, for example [\"192.168.7.0/24\"].",
);

/// Accepts connections until told to stop, then lets those that are open come to their end
/// for a moment. Failed accepts and a lack of descriptors or threads are survived.
///
/// A client that comes after the word to stop waits in the kernel's queue: of a listener that
/// systemd holds, the next daemon takes it.
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
                    // The client has gone before its turn came, or the signal was not for us.
                    Err(e)
                        if matches!(
                            e.kind(),
                            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                        ) => {}
                    Err(e) => {
                        // Out of descriptors, most likely: those in use will be freed.
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

/// Gives a connection a thread of its own, or turns it away.
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
        return refuse::turn_away(guard, &stream, &Refused(503, why));
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
