//! The guard's side of the private socket: a few connections to `tiny_http`, made once and
//! kept.
//!
//! Theory of operation: `tiny_http` 0.12 stops accepting for good, or panics, when there is
//! no descriptor left for another connection (seen in its source: `lib.rs`,
//! `refined_tcp_stream.rs`). So all connections are made when the first client comes (not at
//! the start: what nobody asks need not be resident), while no other is let in, and only if
//! descriptors are plenty. None is given up: an answer that takes too long is still waited
//! for, then thrown away.
//! An answer is always taken whole before the client sees any of it; so a client that reads
//! slowly holds up nobody but itself.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::request::Sound;
use super::routes::QUESTIONS;

/// Connections: as many as `tiny_http` has threads at rest.
const CONNECTIONS: usize = 4;
/// Of these, for questions to the history.
const LONG: usize = QUESTIONS;
/// The head of an answer is shorter than this.
const HEAD: usize = 4 << 10;
const HEADERS: usize = 24;
/// Descriptors that must be free before a connection is made; it takes three.
const SPARE: usize = 8;
/// The first answer on a new connection must come after this time.
const GREETING_TIME: Duration = Duration::from_secs(2);
/// What the client is told besides: it gets one answer on a connection.
const CLOSE: &[u8] = b"Connection: close\r\n";

/// The connections to the server inside.
pub struct Backend {
    path: PathBuf,
    is_ready: AtomicBool,
    pool: Mutex<Pool>,
    returned: Condvar,
}

struct Pool {
    idle: Vec<Option<UnixStream>>,
    /// Connections in use for questions to the history.
    long: usize,
}

/// Why there is no answer.
pub(super) enum NoAnswer<'a> {
    /// All connections are in use, and were until the deadline.
    Busy,
    /// The connection is broken.
    Broken,
    /// It takes too long; to be waited for once the client has been told.
    Late(Lease<'a>),
    /// There is no room for it; the same.
    NoRoom(Lease<'a>),
}

impl Backend {
    /// For the socket at `path`; connects later.
    pub fn new(path: PathBuf) -> Backend {
        let pool = Mutex::new(Pool { idle: (0..CONNECTIONS).map(|_| None).collect(), long: 0 });
        Backend { path, is_ready: AtomicBool::new(false), pool, returned: Condvar::new() }
    }

    /// Makes the connections, if they are not there yet. The caller accepts nobody meanwhile.
    ///
    /// # Errors
    /// There are too few descriptors, or nobody listens.
    pub(super) fn make_ready(&self) -> io::Result<()> {
        if self.is_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        let greeting =
            Sound { text: "HEAD / HTTP/1.1\r\n\r\n".to_owned(), is_head: true, is_long: false };
        let mut leases = Vec::new();
        for _ in 0..CONNECTIONS {
            let deadline = Instant::now() + GREETING_TIME;
            let lease = self.lease(&greeting, deadline);
            let mut lease = lease.map_err(|_| io::ErrorKind::NotConnected)?;
            // Answered: so `tiny_http` has accepted it.
            if !lease.ask(&greeting, Some(deadline))? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            leases.push(lease);
        }
        self.is_ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Asks and returns the whole answer, ready for the client. `has_room` is asked about
    /// its size before it is taken in.
    pub(super) fn ask(
        &self,
        request: &Sound,
        time: Duration,
        has_room: impl FnOnce(usize) -> bool,
    ) -> Result<Vec<u8>, NoAnswer<'_>> {
        let deadline = Instant::now() + time;
        let mut lease = self.lease(request, deadline)?;
        let deadline = Some(deadline);
        match lease.ask(request, deadline) {
            Ok(true) => {}
            Ok(false) => return Err(NoAnswer::Late(lease)),
            Err(_) => return Err(NoAnswer::Broken),
        }
        let line = lease.head.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
        let whole = lease.head.len() + lease.left.unwrap_or(0) + CLOSE.len();
        if !has_room(whole) {
            return Err(NoAnswer::NoRoom(lease));
        }
        let mut answer = Vec::with_capacity(whole);
        answer.extend_from_slice(&lease.head[..line]);
        answer.extend_from_slice(CLOSE);
        answer.extend_from_slice(&lease.head[line..]);
        let mut at = answer.len();
        answer.resize(whole, 0);
        while at < whole {
            match lease.read(&mut answer[at..], deadline) {
                Ok(Some(length)) => at += length,
                Ok(None) => return Err(NoAnswer::Late(lease)),
                Err(_) => return Err(NoAnswer::Broken),
            }
        }
        Ok(answer)
    }

    fn lease(&self, request: &Sound, deadline: Instant) -> Result<Lease<'_>, NoAnswer<'_>> {
        let Sound { is_head, is_long, .. } = *request;
        let mut pool = self.lock();
        loop {
            let may_go = !is_long || pool.long < LONG;
            if let Some(place) = may_go.then(|| pool.idle.pop()).flatten() {
                pool.long += usize::from(is_long);
                drop(pool);
                let stream = place.or_else(|| self.connect().ok());
                let is_broken = stream.is_none();
                // Even without a stream: dropping it gives the place back.
                let lease =
                    Lease { backend: self, stream, is_head, is_long, head: Vec::new(), left: None };
                return if is_broken { Err(NoAnswer::Broken) } else { Ok(lease) };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoAnswer::Busy);
            }
            let waited = self.returned.wait_timeout(pool, left);
            pool = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_full_of_questions(&self) -> bool {
        self.lock().long == LONG
    }

    /// Makes a connection, but not while descriptors are short.
    fn connect(&self) -> io::Result<UnixStream> {
        let spare: Vec<File> =
            (0..SPARE).map(|_| File::open("/dev/null")).collect::<io::Result<_>>()?;
        drop(spare);
        UnixStream::connect(&self.path)
    }
}

/// A connection in use; it goes back when dropped.
pub(super) struct Lease<'a> {
    backend: &'a Backend,
    stream: Option<UnixStream>,
    is_head: bool,
    is_long: bool,
    /// The answer's head, and what came with it.
    head: Vec<u8>,
    /// Bytes that are still to come, once the head has been read.
    left: Option<usize>,
}

impl Lease<'_> {
    /// Sends the request and reads the head; false if the deadline has passed.
    fn ask(&mut self, request: &Sound, deadline: Option<Instant>) -> io::Result<bool> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(request.text.as_bytes())?;
        self.read_head(deadline)
    }

    fn read_head(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        while self.left.is_none() {
            let at = self.head.len();
            if at >= HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut buffer = [0; HEAD];
            let Some(length) = self.read(&mut buffer[..HEAD - at], deadline)? else {
                return Ok(false);
            };
            self.head.extend_from_slice(&buffer[..length]);
            if let Some(total) = whole_length(&self.head, self.is_head)? {
                let left = total.checked_sub(self.head.len());
                self.left = Some(left.ok_or(io::ErrorKind::InvalidData)?);
            }
        }
        Ok(true)
    }

    /// Reads what there is; `None` if the deadline has passed.
    fn read(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<Option<usize>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            stream.set_read_timeout(left)?;
            match stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.left = self.left.map(|left| left.saturating_sub(length));
                    return Ok(Some(length));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the end of an answer that nobody wants any more, however long it takes.
    pub(super) fn wait(mut self) {
        let mut buffer = [0; 8 << 10];
        if self.read_head(None).is_err() {
            return;
        }
        while let Some(left) = self.left.filter(|left| *left > 0) {
            let most = left.min(buffer.len());
            if self.read(&mut buffer[..most], None).is_err() {
                return;
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Only after a whole answer is what comes next the answer to the next request.
        let stream = self.stream.take().filter(|_| self.left == Some(0));
        let mut pool = self.backend.lock();
        pool.idle.push(stream);
        pool.long -= usize::from(self.is_long);
        drop(pool);
        // All, as not each of them may go.
        self.backend.returned.notify_all();
    }
}

/// The length of an answer, head and all; `None` if its head has not ended.
fn whole_length(bytes: &[u8], is_head: bool) -> io::Result<Option<usize>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes).map_err(|_| wrong())? else {
        return Ok(None);
    };
    if is_head || matches!(answer.code, Some(204 | 304)) {
        return Ok(Some(head));
    }
    let mut headers = answer.headers.iter();
    let header = headers.find(|header| header.name.eq_ignore_ascii_case("Content-Length"));
    let value = header.and_then(|header| std::str::from_utf8(header.value).ok());
    let body: usize = value.and_then(|value| value.trim().parse().ok()).ok_or_else(wrong)?;
    Ok(Some(head + body))
}

#[cfg(test)]
mod tests;
