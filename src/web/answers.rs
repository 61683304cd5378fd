//! Who makes the answers, and in which order.
//!
//! A connection's own thread answers with what is there: the files of the page, and what has
//! been made already from the latest snapshot. The rest is made by two threads, one for the
//! history and one for everything else: a question to the history takes seconds, and to make
//! an answer takes stack and memory, which is bounded this way, however many connections there
//! are. Each of the two has a fair queue ([`super::queue`]).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::json;

use super::answer::Answer;
use super::bodies::{Bodies, Body};
use super::bundle;
use super::queue::Queue;
use super::request::{Refused, Request};
use super::routes::{HISTORY, STATUS, Source, table};

/// Questions of one client that wait for the history. The page asks one after the other.
const QUESTIONS_PER_CLIENT: usize = 4;

/// A question that waits for its answer.
struct Question {
    path: String,
    query: String,
    takes_gzip: bool,
    reply: SyncSender<Made>,
}

/// An HTTP status and a body.
type Made = (u16, Arc<Body>);

/// Makes answers from a source.
pub struct Answers<S> {
    source: Arc<S>,
    bodies: Bodies,
    quick: Queue<Question>,
    history: Queue<Question>,
}

impl<S: Source> Answers<S> {
    /// For a web server of so many connections: questions to the history may wait on half of
    /// them.
    pub fn new(source: Arc<S>, connections: usize) -> Answers<S> {
        Answers {
            source,
            bodies: Bodies::default(),
            // No more can wait than there are connections.
            quick: Queue::new(usize::MAX, usize::MAX),
            history: Queue::new((connections / 2).max(1), QUESTIONS_PER_CLIENT),
        }
    }

    /// Makes what is asked of the snapshot and the daemon, until [`Answers::close`]: the body
    /// of one thread.
    pub fn run(&self) {
        while let Some((_turn, question)) = self.quick.next() {
            let Question { path, query, takes_gzip, reply } = question;
            let body = if path == STATUS {
                Ok(Body::new(self.source.status().to_string()))
            } else {
                let snapshot = self.source.snapshot();
                let age = self.source.age();
                self.bodies.get(snapshot.number, &asked(&path, &query, age), || {
                    table(&path, &query, &snapshot, age)
                })
            };
            let (status, body) = made(body);
            if takes_gzip {
                body.pack();
            }
            // The client may have gone meanwhile.
            let _ = reply.send((status, body));
        }
    }

    /// Answers questions to the history, one after the other, until [`Answers::close`]: the
    /// body of the other thread.
    pub fn run_history(&self) {
        while let Some((_turn, question)) = self.history.next() {
            let Question { query, takes_gzip, reply, .. } = question;
            let text = super::history::history(&query, &*self.source);
            let (status, body) = made(text.map(|text| Body::single(text, takes_gzip)));
            let _ = reply.send((status, body));
        }
    }

    /// Ends the two threads. What still waits is refused.
    pub fn close(&self) {
        self.quick.close();
        self.history.close();
    }

    /// The answer to a request from `address`.
    ///
    /// # Errors
    /// There is no room for the question, or it takes longer than `time`.
    pub(super) fn answer(
        &self,
        request: &Request,
        address: IpAddr,
        time: Duration,
    ) -> Result<Answer, Refused> {
        let Request { path, query, takes_gzip, .. } = request;
        let takes_gzip = *takes_gzip;
        if let Some(asset) = bundle::find(path) {
            return Ok(Answer::file(asset, request));
        }
        if let Some(page) = bundle::unbuilt().filter(|_| path == "/") {
            return Ok(Answer::page(page));
        }
        let queue = match path.as_str() {
            HISTORY => &self.history,
            _ => &self.quick,
        };
        if !matches!(path.as_str(), HISTORY | STATUS) {
            let asked = asked(path, query, self.source.age());
            let kept = self.bodies.kept(self.source.snapshot().number, &asked);
            if let Some(body) = kept.filter(|body| !takes_gzip || body.is_packed()) {
                return Ok(Answer::json(200, body, takes_gzip));
            }
        }
        let deadline = Instant::now() + time;
        let (reply, answered) = mpsc::sync_channel(1);
        let question = Question { path: path.clone(), query: query.clone(), takes_gzip, reply };
        const BUSY: Refused = Refused(503, "Too many questions; try again in a moment.");
        if !queue.push(address, question) {
            return Err(BUSY);
        }
        match answered.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((status, body)) => Ok(Answer::json(status, body, takes_gzip)),
            Err(RecvTimeoutError::Timeout) => Err(Refused(504, "The answer takes too long.")),
            // It has made room for somebody else's, or the daemon stops.
            Err(RecvTimeoutError::Disconnected) => Err(BUSY),
        }
    }
}

/// What a body is kept under. A snapshot that grows old, as the counting hangs, is asked anew
/// each second: its age is a part of the answer.
fn asked(path: &str, query: &str, age: u64) -> String {
    match age {
        0 => format!("{path}?{query}"),
        age => format!("{path}?{query} {age}"),
    }
}

fn made(body: Result<Arc<Body>, (u16, String)>) -> Made {
    match body {
        Ok(body) => (200, body),
        Err((status, problem)) => (status, Body::new(json!({ "error": problem }).to_string())),
    }
}

#[cfg(test)]
mod tests;
