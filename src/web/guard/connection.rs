//! One connection, on its own thread: reads, checks and answers requests, one after another.
//!
//! A client may send the next request before it has the answer (pipelining). That request waits in
//! the buffer, or in the kernel, until its turn.
//!
//! A body is read after the head has passed its checks, within the deadline of the whole request,
//! into memory of its own: as much as its path takes, and only as much as arrives.

use std::io::{self, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

use super::limits::{Phase, Slot};
use super::refuse::{linger, refuse};
use super::{Guard, STRANGER};
use crate::web::Answers;
use crate::web::method::Method;
use crate::web::refused::Refused;
use crate::web::request::{self, Head, Request};
use crate::web::source::Source;

/// Deadline of a whole request, with its body.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Deadline of the next request's first byte; then the connection is closed.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// Deadline for making an answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// The client must have read the whole answer after this time, or each piece of one that is
/// generated while it is sent.
const SENDING_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request, including its headers, without its body.
const REQUEST_SIZE: usize = 8 << 10;
/// Requests on one connection.
const REQUESTS: u32 = 1_000;
/// Bytes of an answer that are handed to the kernel at once.
const PIECE: usize = 16 << 10;

const TOO_SLOW: End = End::Refused(Refused::new(408, "The request took too long."));
/// Tells a client to send the body that it holds back (RFC 9110, 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a connection ends.
enum End {
    /// It was idle: no request is refused.
    Idle,
    /// The client closed it, or sent nothing more.
    Gone,
    /// The request is refused.
    Refused(Refused),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Gone
    }
}

impl From<Refused> for End {
    fn from(why: Refused) -> End {
        End::Refused(why)
    }
}

/// Serves a connection until it ends: the body of its thread.
pub(super) fn serve<S: Source>(
    guard: &Guard,
    answers: &Arc<Answers<S>>,
    client: &TcpStream,
    from: SocketAddr,
    slot: &Slot,
) {
    // Without this, the kernel holds the end of an answer until the rest is acknowledged.
    let _ = client.set_nodelay(true);
    let mut connection = Connection {
        guard,
        client,
        from,
        slot,
        buffer: [0; REQUEST_SIZE],
        length: 0,
        read_timeout: None,
        write_timeout: None,
    };
    for number in 1..=REQUESTS {
        match connection.exchange(answers, number) {
            Ok(true) => {}
            Ok(false) | Err(End::Idle) => return,
            Err(End::Gone) => return guard.counts.refuse(),
            Err(End::Refused(why)) => {
                // The limits may reclaim the slot while the client is slow to read this.
                slot.hold(0);
                slot.set(Phase::Sending(Instant::now()));
                return refuse(guard, client, &why);
            }
        }
    }
}

struct Connection<'a> {
    guard: &'a Guard,
    client: &'a TcpStream,
    from: SocketAddr,
    slot: &'a Slot,
    /// Received bytes whose request has not been answered.
    buffer: [u8; REQUEST_SIZE],
    length: usize,
    /// The current timeouts of the socket.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Connection<'_> {
    /// Reads a request and answers it. True if another one may follow.
    fn exchange<S: Source>(&mut self, answers: &Arc<Answers<S>>, number: u32) -> Result<bool, End> {
        let request = self.read(answers, number > 1)?;
        if !self.slot.set(Phase::Answering) {
            return Err(End::Gone);
        }
        if number > 1 {
            answers.note_further(&request);
        }
        let is_gone = || has_gone(self.client);
        let answer = answers.answer(&request, ANSWER_TIME, is_gone)?;
        if !self.slot.hold(answer.held) {
            let why = "Too many long answers wait to be taken; try again in a moment.";
            return Err(Refused::new(503, why).into());
        }
        let begun = Instant::now();
        self.slot.set(Phase::Sending(begun));
        let is_last = !request.may_stay || number == REQUESTS || !self.slot.may_stay();
        let is_head = request.method == Method::Head;
        let is_stream = answer.is_stream;
        let sending = Sending { connection: self, begun, is_stream };
        let mut out = BufWriter::with_capacity(PIECE, sending);
        let sent = answer.print(&mut out, is_head, is_last).and_then(|()| out.flush());
        // Discards what a client did not read in time: dropping `out` would retry the write.
        drop(out.into_parts());
        self.slot.hold(0);
        sent?;
        self.guard.counts.answer();
        if is_last && (request.may_stay || self.length > 0) {
            linger(self.client);
        }
        Ok(!is_last)
    }

    /// Reads and checks the next request.
    fn read<S: Source>(&mut self, answers: &Answers<S>, is_later: bool) -> Result<Request, End> {
        let mut begun = Instant::now();
        if is_later && self.length == 0 {
            self.wait().map_err(|_| End::Idle)?;
            begun = Instant::now();
        }
        if is_later && !self.slot.set(Phase::Reading(begun)) {
            return Err(End::Gone);
        }
        // Parsing starts at the beginning each time. So parse only if a line has ended, or single
        // bytes could keep a core busy.
        let mut is_new = self.length > 0;
        loop {
            if is_new && let Some(head) = self.check(answers)? {
                return self.read_body(head, begun);
            }
            if self.length == REQUEST_SIZE {
                return Err(request::too_large(&self.buffer).into());
            }
            let before = self.length;
            self.fill_until(begun + REQUEST_TIME)?;
            is_new = before == 0 || self.buffer[before..self.length].contains(&b'\n');
        }
    }

    /// Waits for the first byte of the next request.
    fn wait(&mut self) -> io::Result<()> {
        if !self.slot.set(Phase::Idle(Instant::now())) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.set_read_timeout(IDLE_TIME)?;
        self.fill()
    }

    /// Checks the head in the buffer; `None` if it is incomplete. Checks the client's address for
    /// each request, because the rules may change while a connection stays open.
    fn check<S: Source>(&self, answers: &Answers<S>) -> Result<Option<Head>, Refused> {
        let admission = self.guard.admission.read().unwrap_or_else(PoisonError::into_inner);
        if !admission.admits(self.from) {
            return Err(STRANGER);
        }
        let (address, bytes) = (self.from.ip().to_canonical(), &self.buffer[..self.length]);
        request::check(&admission, |path| answers.takes(path), address, bytes)
    }

    /// Takes a head out of the buffer, and its body, as far as it has arrived; reads the rest.
    /// Leaves what follows it.
    fn read_body(&mut self, head: Head, begun: Instant) -> Result<Request, End> {
        let Head { mut request, length, body_length, awaits_continue } = head;
        self.take(length);
        let deadline = begun + REQUEST_TIME;
        // A client that has begun to send does not wait (RFC 9110, 10.1.1).
        if awaits_continue && self.length == 0 {
            self.write_until(deadline, CONTINUE)?;
        }
        loop {
            let more = (body_length - request.body.len()).min(self.length);
            request.body.extend_from_slice(&self.buffer[..more]);
            self.take(more);
            if request.body.len() == body_length {
                return Ok(request);
            }
            self.fill_until(deadline)?;
        }
    }

    /// Removes bytes from the front of the buffer.
    fn take(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.length, 0);
        self.length -= bytes;
    }

    /// Writes something short while a request is being read.
    fn write_until(&mut self, deadline: Instant, bytes: &[u8]) -> Result<(), End> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TOO_SLOW);
        }
        self.set_write_timeout(left)?;
        let mut client = self.client;
        Ok(client.write_all(bytes)?)
    }

    /// Reads what arrives until then, at least one byte.
    fn fill_until(&mut self, deadline: Instant) -> Result<(), End> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TOO_SLOW);
        }
        self.set_read_timeout(left)?;
        self.fill().map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TOO_SLOW,
            _ => End::Gone,
        })
    }

    /// Reads what has arrived, at least one byte.
    fn fill(&mut self) -> io::Result<()> {
        let mut client = self.client;
        loop {
            match client.read(&mut self.buffer[self.length..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => {
                    self.length += more;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if self.read_timeout != Some(timeout) {
            self.client.set_read_timeout(Some(timeout))?;
            self.read_timeout = Some(timeout);
        }
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        if self.write_timeout != Some(timeout) {
            self.client.set_write_timeout(Some(timeout))?;
            self.write_timeout = Some(timeout);
        }
        Ok(())
    }
}

/// Whether the client has closed its side, or the connection is broken. An unread further request
/// (pipelining) hides this.
fn has_gone(client: &TcpStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let got = recv(client.as_raw_fd(), &mut [0], flags);
    !matches!(got, Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR))
}

/// Writes to the client, within a deadline.
struct Sending<'a, 'b> {
    connection: &'a mut Connection<'b>,
    begun: Instant,
    /// A stream has a deadline for each piece instead of the whole.
    is_stream: bool,
}

impl Write for Sending<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_stream {
            self.begun = Instant::now();
        }
        // Most answers are sent at once, with the timeout that is already set.
        let left = match self.begun.elapsed() {
            at_once if at_once < Duration::from_millis(50) => SENDING_TIME,
            elapsed => SENDING_TIME.saturating_sub(elapsed),
        };
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.connection.set_write_timeout(left)?;
        let mut client = self.connection.client;
        client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
