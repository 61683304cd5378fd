//! Who makes the answers, and in which order.
//!
//! A connection's own thread answers with what is there: the files of the page, and what has
//! been made already from the latest snapshot. The rest is made by three threads, two for the
//! history and one for everything else: a question to the history takes seconds, and to make
//! an answer takes stack and memory, which is bounded this way, however many connections there
//! are. Each of them has a fair queue ([`super::queue`]).
//!
//! Questions to the history take milliseconds or half a minute, which nobody can tell before. So
//! each begins in the lane of the short ones; one that has taken longer than [`SLICE`] while
//! others wait is ended, and begins anew in the lane of the long ones, which has a thread of its
//! own. So a short question waits for a slice of each client at most, whatever the others ask,
//! and a long one loses no more than that. What nobody waits for any more, as its client has
//! gone, is ended too; and in both lanes a question of a client that has asked for much of late
//! ([`super::recent`]) gives way to that of one that has not, and begins anew.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;

use super::answer::Answer;
use super::bodies::{Bodies, Body, Made};
use super::bundle;
use super::client::Client;
use super::csv::{Export, Parts};
use super::queue::Queue;
use super::recent::Recent;
use super::request::{Refused, Request};
use super::routes::{self, Handler, Route};
use super::source::{Ask, IsOver, Source};

/// How long a question to the history may hold up others that have just come. A crowd of 32
/// that asks as much as it can holds up a newcomer for three seconds.
const SLICE: Duration = Duration::from_millis(100);
/// How often it is looked whether a client that waits is still there. (Some close their side once
/// they have asked, and get what is answered within this time.)
const LOOK: Duration = Duration::from_millis(500);
/// Questions of one client that wait for the history. The page asks one after the other.
const QUESTIONS_PER_CLIENT: usize = 4;

/// A question that waits for its answer.
struct Question<W> {
    address: IpAddr,
    asked: W,
    takes_gzip: bool,
    reply: SyncSender<Made>,
    /// Whether nobody waits for the answer any more.
    is_gone: Arc<AtomicBool>,
}

/// A route and a query: what is asked of the snapshot and the daemon.
type Place = (&'static Route, String);

/// Makes answers from a source.
pub struct Answers<S> {
    source: Arc<S>,
    bodies: Bodies,
    quick: Queue<Question<Place>>,
    history: Arc<Queue<Question<Ask<S>>>>,
    long: Arc<Queue<Question<Ask<S>>>>,
    recent: Arc<Recent>,
}

impl<S: Source> Answers<S> {
    /// For a web server of so many connections: questions to the history may wait on half of
    /// them, and on an eighth those that take long.
    pub fn new(source: Arc<S>, connections: usize) -> Answers<S> {
        let recent = Arc::<Recent>::default();
        let lane = |most: usize| Queue::new(most.max(1), QUESTIONS_PER_CLIENT, recent.clone());
        Answers {
            source,
            bodies: Bodies::default(),
            // No more can wait than there are connections.
            quick: Queue::new(usize::MAX, usize::MAX, recent.clone()),
            history: Arc::new(lane(connections / 2)),
            long: Arc::new(lane(connections / 8)),
            recent,
        }
    }

    /// Who has asked for much of late; the guard's limits look at the same.
    pub(super) fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// Notes that `address` asks on a connection that it has opened for an earlier request. (That
    /// it opened one has been noted.)
    pub(super) fn note_further(&self, request: &Request, address: IpAddr) {
        let handler = routes::find(&request.path).map(|route| route.handler);
        if let Some(Handler::History | Handler::HistoryCsv) = handler {
            self.recent.note(Client::from(address), Instant::now());
        }
    }

    /// Makes what is asked of the snapshot and the daemon, until [`Answers::close`]: the body
    /// of one thread.
    pub fn run(&self) {
        while let Some((_turn, question)) = self.quick.next() {
            let Question { asked: (route, query), takes_gzip, reply, .. } = question;
            let body = match route.handler {
                Handler::Snapshot(tell) => {
                    let (snapshot, age) = (self.source.snapshot(), self.source.age());
                    self.bodies.get(snapshot.number, &asked(route, &query, age), || {
                        tell(&routes::Asked { snapshot: &snapshot, age, query: &query })
                    })
                }
                // Questions to the history have queues of their own.
                Handler::Status | Handler::History | Handler::HistoryCsv => {
                    Ok(Body::new(self.source.status().to_string()))
                }
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
    /// body of the second thread.
    pub fn run_history(&self) {
        self.run_lane(&self.history, SLICE);
    }

    /// Answers those that take long, in the same way: the body of the third thread.
    pub fn run_long_history(&self) {
        self.run_lane(&self.long, Duration::MAX);
    }

    /// Answers what waits in a lane. What has to give way goes on in the lane of long ones; where
    /// that has no room, it is refused.
    fn run_lane(&self, lane: &Arc<Queue<Question<Ask<S>>>>, slice: Duration) {
        while let Some((turn, question)) = lane.next() {
            let (queue, running) = (lane.clone(), turn.running());
            let gives_way = move || queue.wants_the_turn_of(&running, slice);
            if let Some(question) = self.ask_history(question, gives_way) {
                self.long.push(question.address, question);
            }
        }
    }

    /// Answers a question to the history. Returns it if `gives_way` ended that.
    fn ask_history(
        &self,
        question: Question<Ask<S>>,
        gives_way: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Option<Question<Ask<S>>> {
        let gave_way = Arc::new(AtomicBool::new(false));
        let (ended, is_gone) = (gave_way.clone(), question.is_gone.clone());
        let is_over = Arc::new(move || {
            let gives_way = gives_way();
            ended.fetch_or(gives_way, Ordering::Relaxed);
            gives_way || is_gone.load(Ordering::Relaxed)
        });
        if question.is_gone.load(Ordering::Relaxed) {
            return None;
        }
        let text = (question.asked)(&self.source, is_over);
        if text.is_err() && gave_way.load(Ordering::Relaxed) {
            return Some(question);
        }
        let (status, body) = made(text.map(|text| Body::single(text, question.takes_gzip)));
        let _ = question.reply.send((status, body));
        None
    }

    /// Ends the three threads. What still waits is refused.
    pub fn close(&self) {
        self.quick.close();
        self.history.close();
        self.long.close();
    }

    /// The answer to a request from `address`, for a client of which `is_gone` tells whether it
    /// has hung up.
    ///
    /// # Errors
    /// There is no room for the question, it takes longer than `time`, or the client has gone.
    pub(super) fn answer(
        self: &Arc<Self>,
        request: &Request,
        address: IpAddr,
        time: Duration,
        is_gone: impl Fn() -> bool,
    ) -> Result<Answer, Refused> {
        let Request { path, query, takes_gzip, .. } = request;
        let takes_gzip = *takes_gzip;
        if let Some(asset) = bundle::find(path) {
            return Ok(Answer::file(asset, request));
        }
        if let Some(page) = bundle::unbuilt().filter(|_| path == "/") {
            return Ok(Answer::page(page));
        }
        let Some(route) = routes::find(path) else {
            let (status, body) = made(Err((404, format!("there is no '{path}' here"))));
            return Ok(Answer::json(status, body, takes_gzip));
        };
        let (status, body) = match route.handler {
            Handler::History => {
                let query = query.clone();
                let ask =
                    move |source: &S, is_over| super::history::history(&query, source, is_over);
                self.ask(address, Arc::new(ask), takes_gzip, time, is_gone)?
            }
            Handler::HistoryCsv => return self.csv(request, address, time, is_gone),
            Handler::Snapshot(_) | Handler::Status => {
                if let Handler::Snapshot(_) = route.handler {
                    let asked = asked(route, query, self.source.age());
                    let kept = self.bodies.kept(self.source.snapshot().number, &asked);
                    if let Some(body) = kept.filter(|body| !takes_gzip || body.is_packed()) {
                        return Ok(Answer::json(200, body, takes_gzip));
                    }
                }
                wait(&self.quick, address, (route, query.clone()), takes_gzip, time, is_gone)?
            }
        };
        Ok(Answer::json(status, body, takes_gzip))
    }

    /// Asks the history, and waits for its answer.
    fn ask(
        &self,
        address: IpAddr,
        ask: Ask<S>,
        takes_gzip: bool,
        time: Duration,
        is_gone: impl Fn() -> bool,
    ) -> Result<Made, Refused> {
        wait(&self.history, address, ask, takes_gzip, time, is_gone)
    }

    /// An answer of the history as CSV, which is made in parts while it is sent.
    fn csv(
        self: &Arc<Self>,
        request: &Request,
        address: IpAddr,
        time: Duration,
        is_gone: impl Fn() -> bool,
    ) -> Result<Answer, Refused> {
        if !request.knows_chunks {
            return Err(Refused(505, "This answer comes in chunks, which takes HTTP/1.1."));
        }
        let (query, export) = (request.query.clone(), Arc::<OnceLock<Export>>::default());
        let begun = export.clone();
        let ask = move |source: &S, is_over: IsOver| {
            let export = Export::begin(&query, source, &is_over)?;
            let head = export.head();
            // It was begun anew if it had to give way: the first one that came to its end counts.
            let _ = begun.set(export);
            Ok(head)
        };
        let (status, body) = self.ask(address, Arc::new(ask), false, time, is_gone)?;
        let Some(export) = export.get().filter(|_| status == 200) else {
            return Ok(Answer::json(status, body, request.takes_gzip));
        };
        let name = export.file_name();
        let answers = self.clone();
        let reader = Parts::new(export.clone(), body, move |ask| {
            match answers.ask(address, ask, false, time, || false) {
                // There may be room in a moment, but not where the daemon stops.
                Err(Refused(503, _)) if !answers.history.is_closed() => None,
                made => Some(made.ok()),
            }
        });
        Ok(Answer::csv(reader, &name))
    }
}

/// Puts a question into a queue and waits for its answer.
fn wait<W>(
    queue: &Queue<Question<W>>,
    address: IpAddr,
    asked: W,
    takes_gzip: bool,
    time: Duration,
    is_gone: impl Fn() -> bool,
) -> Result<Made, Refused> {
    let deadline = Instant::now() + time;
    let (reply, answered) = mpsc::sync_channel(1);
    let gone = Gone::default();
    let question = Question { address, asked, takes_gzip, reply, is_gone: gone.0.clone() };
    const BUSY: Refused = Refused(503, "Too many questions; try again in a moment.");
    if !queue.push(address, question) {
        return Err(BUSY);
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match answered.recv_timeout(left.min(LOOK)) {
            Ok(made) => return Ok(made),
            Err(RecvTimeoutError::Timeout) if left <= LOOK => {
                return Err(Refused(504, "The answer takes too long; ask for a shorter span."));
            }
            Err(RecvTimeoutError::Timeout) if is_gone() => {
                return Err(Refused(503, "The client has gone."));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // It has made room for somebody else's, or the daemon stops.
            Err(RecvTimeoutError::Disconnected) => return Err(BUSY),
        }
    }
}

/// Tells, once dropped, that nobody waits for an answer any more.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a body is kept under. A snapshot that grows old, as the counting hangs, is asked anew
/// each second: its age is a part of the answer.
fn asked(route: &Route, query: &str, age: u64) -> String {
    match age {
        0 => format!("{}?{query}", route.name),
        age => format!("{}?{query} {age}", route.name),
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
