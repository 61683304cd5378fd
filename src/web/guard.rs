//! The guard: the only thing that faces the network.
//!
//! `tiny_http` 0.12 has no read timeout, starts a thread per connection without bound and
//! stops accepting for good after one failed accept. So the guard owns the public
//! listeners, caps connections in all and per address, gives each request a deadline,
//! refuses what is malformed, too large, or asked under a name that is not ours, and hands
//! the rest on over a private Unix socket, one sound request per connection. Nothing that
//! a client sends reaches `tiny_http` but method, path and three headers.
//!
//! A connection carries one request. That costs a page that asks once a second nothing
//! that can be felt on a LAN, and leaves nothing to idle.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::names::Admission;

/// A whole request must have arrived after this time.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// A whole answer must have been taken after this time.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request, headers and all.
const REQUEST_SIZE: usize = 8 << 10;
/// Bytes of an answer; the longest (every host there is) stays well below.
const ANSWER_SIZE: u64 = 64 << 20;
const HEADERS: usize = 64;
const STACK: usize = 128 << 10;

/// What the guard needs to know.
pub struct Guard {
    /// The private socket behind which `tiny_http` listens.
    pub backend: PathBuf,
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

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Accepts connections until `stop` is set. Failed accepts and a lack of descriptors or
/// threads are survived.
pub fn run(guard: &Arc<Guard>, listeners: &[TcpListener], stop: &AtomicBool) {
    let open = Arc::new(Mutex::new(Open::default()));
    for listener in listeners {
        if let Err(e) = listener.set_nonblocking(true) {
            warn!("web: cannot make a listener non-blocking: {e}");
        }
    }
    while !stop.load(Ordering::Relaxed) {
        let mut fds: Vec<PollFd<'_>> =
            listeners.iter().map(|l| PollFd::new(l.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut fds, PollTimeout::from(5_000_u16));
        for listener in listeners {
            loop {
                match listener.accept() {
                    Ok((stream, client)) => admit(guard, &open, stream, client),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
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
}

/// Gives a connection a thread of its own, or turns it away.
fn admit(guard: &Arc<Guard>, open: &Arc<Mutex<Open>>, stream: TcpStream, client: SocketAddr) {
    let address = client.ip().to_canonical();
    let admitted = guard.admission.read().unwrap_or_else(PoisonError::into_inner).admits(address);
    if !admitted {
        debug!("web: {address} is not in a local network; see web.allow");
        return refuse(
            guard,
            stream,
            403,
            "Your address is not in a local network (see web.allow).",
        );
    }
    {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= guard.connections || from_there >= guard.connections_per_address {
            drop(open);
            return refuse(guard, stream, 503, "Too many connections; try again in a moment.");
        }
        open.all += 1;
        *open.by_address.entry(address).or_default() += 1;
    }
    let ticket = Ticket { open: open.clone(), address };
    let guard = guard.clone();
    let spawned =
        thread::Builder::new().name("web".to_owned()).stack_size(STACK).spawn(move || {
            let _ticket = ticket;
            match serve(&guard, &stream) {
                Ok(()) => guard.counts.answered.fetch_add(1, Ordering::Relaxed),
                Err(Refusal::Gone) => guard.counts.refused.fetch_add(1, Ordering::Relaxed),
                Err(Refusal::Say(status, why)) => {
                    refuse(&guard, stream, status, why);
                    0
                }
            };
        });
    if let Err(e) = spawned {
        debug!("web: no thread for {address}: {e}");
    }
}

/// A place among the open connections, given back when dropped.
struct Ticket {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

enum Refusal {
    /// The client went away, was too slow or sent nothing.
    Gone,
    /// An answer is due: status and reason.
    Say(u16, &'static str),
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Refusal {
        Refusal::Gone
    }
}

/// Reads one request, passes it on and passes the answer back.
fn serve(guard: &Guard, mut client: &TcpStream) -> Result<(), Refusal> {
    let request = read_request(guard, client)?;
    let unavailable = |_| Refusal::Say(502, "The web server inside does not answer.");
    let mut backend = UnixStream::connect(&guard.backend).map_err(unavailable)?;
    backend.set_read_timeout(Some(ANSWER_TIME)).map_err(unavailable)?;
    backend.set_write_timeout(Some(REQUEST_TIME)).map_err(unavailable)?;
    backend.write_all(request.as_bytes()).map_err(unavailable)?;

    let deadline = Instant::now() + ANSWER_TIME;
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    loop {
        let length = match backend.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(e) if passed == 0 => return Err(unavailable(e)),
            Err(_) => return Err(Refusal::Gone),
        };
        passed += length as u64;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || passed > ANSWER_SIZE {
            return Err(Refusal::Gone);
        }
        client.set_write_timeout(Some(left))?;
        client.write_all(&buffer[..length])?;
    }
}

/// Reads and checks a request's head; returns the request to pass on.
fn read_request(guard: &Guard, mut client: &TcpStream) -> Result<String, Refusal> {
    let deadline = Instant::now() + REQUEST_TIME;
    let mut buffer = [0; REQUEST_SIZE];
    let mut length = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refusal::Say(408, "The request took too long."));
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut buffer[length..]) {
            Ok(0) => return Err(Refusal::Gone),
            Ok(more) => length += more,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(Refusal::Say(408, "The request took too long."));
            }
            Err(_) => return Err(Refusal::Gone),
        }
        if let Some(request) = check(guard, &buffer[..length])? {
            return Ok(request);
        }
        if length == buffer.len() {
            return Err(Refusal::Say(431, "The request is too large."));
        }
    }
}

/// Checks what has arrived so far: `None` if more must come.
fn check(guard: &Guard, bytes: &[u8]) -> Result<Option<String>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let malformed = Refusal::Say(400, "The request is malformed.");
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::Say(431, "The request has too many headers."));
        }
        Err(_) => return Err(malformed),
    }
    let (Some(method), Some(path)) = (request.method, request.path) else {
        return Err(malformed);
    };
    if !matches!(method, "GET" | "HEAD") {
        return Err(Refusal::Say(405, "Only GET and HEAD are served here."));
    }
    let is_plain = path.bytes().all(|b| b.is_ascii_graphic());
    if !path.starts_with('/') || !is_plain || path.len() > 2_048 {
        return Err(malformed);
    }
    let mut host = None;
    let mut etag = None;
    for header in request.headers.iter() {
        let Ok(value) = std::str::from_utf8(header.value) else {
            return Err(malformed);
        };
        match header.name.to_ascii_lowercase().as_str() {
            // Two Host headers, or a body, mean that somebody wants two readers of the
            // request to disagree.
            "host" if host.is_some() => return Err(malformed),
            "host" => host = Some(value.trim()),
            "transfer-encoding" => return Err(malformed),
            "content-length" if value.trim() != "0" => return Err(malformed),
            "if-none-match" => etag = Some(value.trim()),
            _ => {}
        }
    }
    let Some(host) = host else {
        return Err(malformed);
    };
    if !guard.admission.read().unwrap_or_else(PoisonError::into_inner).knows(host) {
        return Err(Refusal::Say(
            421,
            "This name is not mine. Use my IP address, or add the name to web.host_names.",
        ));
    }
    let etag = match etag {
        Some(etag) if etag.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => {
            format!("If-None-Match: {etag}\r\n")
        }
        _ => String::new(),
    };
    Ok(Some(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{etag}Connection: close\r\n\r\n"
    )))
}

/// Answers with a status and one sentence, without waiting long for anybody.
fn refuse(guard: &Guard, mut stream: TcpStream, status: u16, why: &str) {
    guard.counts.refused.fetch_add(1, Ordering::Relaxed);
    let answer = format!(
        "HTTP/1.1 {status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{why}\n",
        why.len() + 1
    );
    // The accept thread comes through here: never block.
    let _ = stream.set_nonblocking(true);
    // What lies unread when a socket is closed makes the kernel reset the connection, and
    // the answer would be lost.
    let _ = stream.read(&mut [0; 4_096]);
    let _ = stream.write(answer.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
}
