//! One connection: requests are read, checked and answered, one after the other.
//!
//! A client may send the next request before it has the answer (pipelining): the request waits
//! in the buffer, or in the kernel, until its turn comes.

use std::io::{self, BufWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

use super::limits::{Phase, Slot};
use super::refuse::{linger, refuse};
use super::{Guard, STRANGER};
use crate::web::Answers;
use crate::web::request::{self, Refused, Request};
use crate::web::source::Source;

/// A whole request must have arrived after this time.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The next request must begin after this time, or the connection is closed.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// An answer must have been made after this time.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// A whole answer must have been taken after this time; of one that is made while it is sent, each
/// piece.
const SENDING_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request, headers and all.
const REQUEST_SIZE: usize = 8 << 10;
/// Requests on one connection.
const REQUESTS: u32 = 1_000;
/// Bytes of an answer that are handed to the kernel at once.
const PIECE: usize = 16 << 10;

/// Why a connection ends.
enum End {
    /// The client went away, or sent nothing more.
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
    // The end of an answer is not held back until the client has acknowledged the rest.
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
            Ok(false) => return,
            // Between requests, it is the client's good right to go.
            Err(End::Gone) if number > 1 && connection.length == 0 => return,
            Err(End::Gone) => return guard.counts.refuse(),
            Err(End::Refused(why)) => {
                // The slot may be taken away while the client does not look at this.
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
    /// What has been read and not been answered.
    buffer: [u8; REQUEST_SIZE],
    length: usize,
    /// The timeouts that the socket has now.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Connection<'_> {
    fn address(&self) -> IpAddr {
        self.from.ip().to_canonical()
    }

    /// Reads a request and answers it. True if another one may follow.
    fn exchange<S: Source>(&mut self, answers: &Arc<Answers<S>>, number: u32) -> Result<bool, End> {
        let request = self.read(number > 1)?;
        if !self.slot.set(Phase::Answering) {
            return Err(End::Gone);
        }
        if number > 1 {
            answers.note_further(&request, self.address());
        }
        let is_gone = || has_gone(self.client);
        let answer = answers.answer(&request, self.address(), ANSWER_TIME, is_gone)?;
        if !self.slot.hold(answer.held) {
            let why = "Too many long answers wait to be taken; try again in a moment.";
            return Err(Refused(503, why).into());
        }
        let begun = Instant::now();
        self.slot.set(Phase::Sending(begun));
        let is_last = !request.may_stay || number == REQUESTS || !self.slot.may_stay();
        let is_stream = answer.is_stream;
        let sending = Sending { connection: self, begun, is_stream };
        let mut out = BufWriter::with_capacity(PIECE, sending);
        let sent = answer.print(&mut out, request.is_head, is_last).and_then(|()| out.flush());
        // What is left of an answer that nobody takes is not tried once more.
        drop(out.into_parts());
        self.slot.hold(0);
        sent?;
        self.guard.counts.answer();
        self.buffer.copy_within(request.length..self.length, 0);
        self.length -= request.length;
        if is_last && (request.may_stay || self.length > 0) {
            linger(self.client);
        }
        Ok(!is_last)
    }

    /// Reads and checks the next request.
    fn read(&mut self, is_later: bool) -> Result<Request, End> {
        const TOO_SLOW: End = End::Refused(Refused(408, "The request took too long."));
        let mut begun = Instant::now();
        let is_idle = is_later && self.length == 0;
        if is_idle {
            if !self.slot.set(Phase::Idle(begun)) {
                return Err(End::Gone);
            }
            self.set_read_timeout(IDLE_TIME)?;
            self.fill()?;
            begun = Instant::now();
        }
        if is_later && !self.slot.set(Phase::Reading(begun)) {
            return Err(End::Gone);
        }
        // Looked at from the start each time: only when there is something new to see, or
        // single bytes could keep a core busy.
        let mut is_new = self.length > 0;
        loop {
            if is_new && let Some(request) = self.check()? {
                return Ok(request);
            }
            if self.length == REQUEST_SIZE {
                return Err(request::too_large(&self.buffer).into());
            }
            let left = REQUEST_TIME.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(TOO_SLOW);
            }
            self.set_read_timeout(left)?;
            let before = self.length;
            match self.fill() {
                Ok(()) => {}
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    return Err(TOO_SLOW);
                }
                Err(_) => return Err(End::Gone),
            }
            is_new = before == 0 || self.buffer[before..self.length].contains(&b'\n');
        }
    }

    /// Checks what is in the buffer: `None` if more must come. Who may ask is looked at anew for
    /// each request, as it may change while a connection stays.
    fn check(&self) -> Result<Option<Request>, Refused> {
        let admission = self.guard.admission.read().unwrap_or_else(PoisonError::into_inner);
        if !admission.admits(self.from) {
            return Err(STRANGER);
        }
        request::check(&admission, &self.buffer[..self.length])
    }

    /// Reads what there is, at least one byte.
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
}

/// Whether the client has closed its side, or the connection is broken. What it sent before that
/// and has not been read, a further request, hides this.
fn has_gone(client: &TcpStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let got = recv(client.as_raw_fd(), &mut [0], flags);
    !matches!(got, Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR))
}

/// Sends, if the client takes it in time.
struct Sending<'a, 'b> {
    connection: &'a mut Connection<'b>,
    begun: Instant,
    /// What is made while it is sent may take any time, but not each piece of it.
    is_stream: bool,
}

impl Write for Sending<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_stream {
            self.begun = Instant::now();
        }
        let connection = &mut *self.connection;
        let mut client = connection.client;
        // Most answers are taken at once, with the timeout that is set already.
        let left = match self.begun.elapsed() {
            at_once if at_once < Duration::from_millis(50) => SENDING_TIME,
            elapsed => SENDING_TIME.saturating_sub(elapsed),
        };
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if connection.write_timeout != Some(left) {
            client.set_write_timeout(Some(left))?;
            connection.write_timeout = Some(left);
        }
        client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
