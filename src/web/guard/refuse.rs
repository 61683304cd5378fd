//! Refusals: the client gets to see the reason, but nobody waits for it longer than necessary.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::Guard;
use crate::web::answer::Answer;
use crate::web::refused::Refused;

/// After the last answer, keep reading for this time and up to this size: closing at once resets
/// the connection while the client still sends, and it never sees the answer (RFC 9112, 9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_SIZE: usize = 256 << 10;

/// The refusal as it is sent, with its sentence even to HEAD, whose answers have no body: whether
/// it was HEAD is not always known, and the connection ends here, so that nothing comes after it.
fn text(why: &Refused) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    // Writing into memory cannot fail.
    let _ = Answer::refusal(why).print(&mut text, false, true);
    text
}

/// Refuses in the accept thread, which must never wait for a client.
pub(super) fn turn_away(guard: &Guard, mut client: &TcpStream, why: &Refused) {
    guard.counts.refuse();
    let _ = client.set_nonblocking(true);
    // If a socket is closed with unread data, the kernel resets the connection and the answer is
    // lost.
    let _ = client.read(&mut [0; 4_096]);
    let _ = client.write(&text(why));
    let _ = client.shutdown(Shutdown::Write);
}

/// Refuses in the connection's own thread, which waits a moment for the client to see it.
pub(super) fn refuse(guard: &Guard, mut client: &TcpStream, why: &Refused) {
    guard.counts.refuse();
    let _ = client.set_write_timeout(Some(LINGER_TIME));
    // A client that was too slow to send its request is not waited for again.
    if client.write_all(&text(why)).is_ok() && why.status != 408 {
        linger(client);
    }
}

/// Closes a connection after its last answer.
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
