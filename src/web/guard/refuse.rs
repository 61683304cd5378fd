//! Refusals: said to the client, without waiting for it any longer than need be.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::Guard;
use crate::web::answer::Answer;
use crate::web::request::Refused;

/// After the last answer, keep reading for this time and up to this size: closing at once resets
/// the connection while the client still sends, and it never sees the answer (RFC 9112, 9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_SIZE: usize = 256 << 10;

/// The refusal as it is sent.
fn text(why: &Refused) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    // Writing into memory does not fail.
    let _ = Answer::refusal(why).print(&mut text, false, true);
    text
}

/// Refuses in the accept thread, which never waits for anybody.
pub(super) fn turn_away(guard: &Guard, mut client: &TcpStream, why: &Refused) {
    guard.counts.refuse();
    let _ = client.set_nonblocking(true);
    // What lies unread when a socket is closed makes the kernel reset the connection, and
    // the answer would be lost.
    let _ = client.read(&mut [0; 4_096]);
    let _ = client.write(&text(why));
    let _ = client.shutdown(Shutdown::Write);
}

/// Refuses in the connection's own thread, which waits a little for the client to see it.
pub(super) fn refuse(guard: &Guard, mut client: &TcpStream, why: &Refused) {
    guard.counts.refuse();
    let _ = client.set_write_timeout(Some(LINGER_TIME));
    // A client that took too long to send its request has had its time.
    if client.write_all(&text(why)).is_ok() && why.0 != 408 {
        linger(client);
    }
}

/// Ends a connection behind its last answer.
pub(super) fn linger(mut client: &TcpStream) {
    let deadline = Instant::now() + LINGER_TIME;
    let _ = client.shutdown(Shutdown::Write);
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
