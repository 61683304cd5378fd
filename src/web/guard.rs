//! The guard: the only thing that faces the network.
//!
//! `tiny_http` 0.12 has no read timeout, starts a thread per connection without bound and
//! stops accepting for good after one failed accept. So the guard owns the public
//! listeners, caps connections in all and per address, gives each request a deadline,
//! refuses what is malformed, too large, or asked under a name that is not ours (see
//! [`super::request`]), and hands the rest on over a few private connections that are made
//! once (see [`super::backend`]).
//!
//! When all places are taken ([`places`]), the connection goes that has been sending its
//! request for the longest time: a sound request takes milliseconds, so it is a slow one that
//! goes, however many addresses the slow ones come from.
//!
//! A connection carries one request. That costs a page that asks once a second nothing
//! that can be felt on a LAN, and leaves nothing to idle.

mod places;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::backend::{Backend, NoAnswer};
use super::names::Admission;
use super::request::{self, Sound, Unsound, phrase};
use super::routes::safety_headers;
use crate::capture::live::StopSignal;
use places::{Places, Stage, Ticket};

/// A whole request must have arrived after this time.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// A whole answer must have been taken after this time.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request, headers and all.
const REQUEST_SIZE: usize = 8 << 10;
/// Who is refused may still be sending; for so long, and so much, nobody hangs up on him, or
/// he would not see why (RFC 9112, 9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_SIZE: usize = 256 << 10;
/// How long open connections may take to come to their end when the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Connections accepted before the next listener has its turn.
const TURN: usize = 64;
const STACK: usize = 128 << 10;

/// What the guard needs to know.
pub struct Guard {
    /// The private connections, at the other end of which `tiny_http` listens.
    pub backend: Backend,
    /// Who may ask, and under which names; may be replaced while running.
    pub admission: RwLock<Admission>,
    /// Connections at the same time.
    pub connections: usize,
    /// The same from one address.
    pub connections_per_address: usize,
    /// What has been let in and turned away.
    pub counts: Counts,
}

/// What has been let in and turned away, since the start.
#[derive(Default)]
pub struct Counts {
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// Connections and requests that were refused.
    pub refused: AtomicU64,
}

/// Accepts connections until told to stop, then lets those that are open come to their end
/// for a moment. Failed accepts and a lack of descriptors or threads are survived.
///
/// Who comes after the word to stop waits in the kernel's queue: of a listener that systemd
/// holds, the next daemon takes it.
pub fn run(guard: &Arc<Guard>, listeners: &[TcpListener], stop: &StopSignal) {
    let places = Places::default();
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
                    Ok((stream, client)) => admit(guard, &places, stream, client),
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
    let deadline = Instant::now() + LAST_ANSWERS;
    while places.threads() > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Gives a connection a thread of its own, or turns it away.
fn admit(guard: &Arc<Guard>, places: &Places, stream: TcpStream, client: SocketAddr) {
    let address = client.ip().to_canonical();
    let admitted = guard.admission.read().unwrap_or_else(PoisonError::into_inner).admits(address);
    if !admitted {
        debug!("web: {address} is not in a local network; see web.allow");
        let why = "Your address is not in a local network (see web.allow).";
        return turn_away(guard, &stream, Unsound(403, why));
    }
    if let Err(e) = guard.backend.make_ready() {
        debug!("web: no connection to the server inside: {e}");
        let why = "The web server inside cannot be reached yet; try again in a moment.";
        return turn_away(guard, &stream, Unsound(503, why));
    }
    let client = Arc::new(stream);
    let Some(ticket) = places.enter(guard, &client, address) else {
        let why = "Too many connections; try again in a moment.";
        return turn_away(guard, &client, Unsound(503, why));
    };
    let guard = guard.clone();
    let spawned = thread::Builder::new()
        .name("web".to_owned())
        .stack_size(STACK)
        .spawn(move || serve(&guard, &client, ticket));
    if let Err(e) = spawned {
        debug!("web: no thread for {address}: {e}");
    }
}

/// Why a connection is not served.
enum Refusal {
    /// The client went away or sent nothing.
    Gone,
    /// There is something to say to it.
    Say(Unsound),
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Refusal {
        Refusal::Gone
    }
}

impl From<Unsound> for Refusal {
    fn from(unsound: Unsound) -> Refusal {
        Refusal::Say(unsound)
    }
}

/// Reads one request, passes it on and passes the answer back: a connection's own thread.
fn serve(guard: &Guard, client: &TcpStream, ticket: Ticket) {
    let request = match read_request(guard, client) {
        Ok(request) => request,
        Err(Refusal::Gone) => {
            guard.counts.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(Refusal::Say(why)) => return refuse(guard, client, why),
    };
    ticket.set(Stage::Asking);
    let has_room = |size| ticket.hold(size);
    let late = match guard.backend.ask(&request, ANSWER_TIME, has_room) {
        Ok(answer) => {
            ticket.set(Stage::Sending(Instant::now()));
            let count = match send(client, &answer) {
                Ok(()) => &guard.counts.answered,
                Err(_) => &guard.counts.refused,
            };
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(NoAnswer::Broken) => {
            return refuse(guard, client, Unsound(502, "The web server inside does not answer."));
        }
        Err(NoAnswer::Busy) => {
            return refuse(
                guard,
                client,
                Unsound(503, "Too many questions; try again in a moment."),
            );
        }
        Err(NoAnswer::NoRoom(lease)) => {
            let why = "Too many long answers wait to be taken; try again in a moment.";
            refuse(guard, client, Unsound(503, why));
            lease
        }
        Err(NoAnswer::Late(lease)) => {
            refuse(guard, client, Unsound(504, "The answer takes too long."));
            lease
        }
    };
    let _ = client.shutdown(Shutdown::Both);
    drop(ticket);
    late.wait();
}

/// Sends an answer, if the client takes it in time.
fn send(mut client: &TcpStream, mut answer: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER_TIME;
    while !answer.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        client.set_write_timeout(Some(left))?;
        match client.write(answer) {
            Ok(length) => answer = &answer[length..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads and checks a request's head.
fn read_request(guard: &Guard, mut client: &TcpStream) -> Result<Sound, Refusal> {
    const TOO_SLOW: Refusal = Refusal::Say(Unsound(408, "The request took too long."));
    let deadline = Instant::now() + REQUEST_TIME;
    let mut buffer = [0; REQUEST_SIZE];
    let mut length = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TOO_SLOW);
        }
        client.set_read_timeout(Some(left))?;
        let before = length;
        match client.read(&mut buffer[before..]) {
            Ok(0) => return Err(Refusal::Gone),
            Ok(more) => length += more,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(TOO_SLOW);
            }
            Err(_) => return Err(Refusal::Gone),
        }
        // Looked at from the start each time: only when there is something new to see, or
        // single bytes could keep a core busy.
        if before == 0 || buffer[before..length].contains(&b'\n') {
            let admission = guard.admission.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(request) = request::check(&admission, &buffer[..length])? {
                return Ok(request);
            }
        }
        if length == buffer.len() {
            return Err(request::too_large(&buffer).into());
        }
    }
}

/// A refusal as text.
fn refusal(Unsound(status, why): &Unsound) -> String {
    let phrase = phrase(*status);
    let more = match status {
        405 => "Allow: GET, HEAD\r\n",
        503 => "Retry-After: 1\r\n",
        _ => "",
    };
    let length = why.len() + 1;
    let safety = safety_headers();
    format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\n{more}{safety}Cache-Control: no-store\r\n\
         Connection: close\r\n\r\n{why}\n"
    )
}

/// Refuses in the accept thread, which never waits for anybody.
fn turn_away(guard: &Guard, mut client: &TcpStream, why: Unsound) {
    guard.counts.refused.fetch_add(1, Ordering::Relaxed);
    let _ = client.set_nonblocking(true);
    // What lies unread when a socket is closed makes the kernel reset the connection, and
    // the answer would be lost.
    let _ = client.read(&mut [0; 4_096]);
    let _ = client.write(refusal(&why).as_bytes());
    let _ = client.shutdown(Shutdown::Write);
}

/// Refuses in the connection's own thread, which waits a little for the client to see it.
fn refuse(guard: &Guard, mut client: &TcpStream, why: Unsound) {
    guard.counts.refused.fetch_add(1, Ordering::Relaxed);
    let deadline = Instant::now() + LINGER_TIME;
    let _ = client.set_write_timeout(Some(LINGER_TIME));
    if client.write_all(refusal(&why).as_bytes()).is_err() {
        return;
    }
    let _ = client.shutdown(Shutdown::Write);
    if why.0 == 408 {
        // It has had its time.
        return;
    }
    let mut buffer = [0; 4_096];
    let mut taken = 0;
    while taken < LINGER_SIZE {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || client.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match client.read(&mut buffer) {
            Ok(length @ 1..) => taken += length,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}
