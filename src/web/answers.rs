//! Makes the answers, and decides their order.
//!
//! A connection's own thread sends what is ready: the files of the page, and answers already made
//! from the latest snapshot. Three threads make the rest, two for the history and one for
//! everything else. A question to the history takes seconds, and making an answer takes stack and
//! memory; three threads bound both, however many connections there are. Each thread has a fair
//! queue ([`super::queue`]).
//!
//! A question to the history takes milliseconds or half a minute; nobody can tell in advance. So
//! each starts in the short lane. If it has run longer than [`SLICE`] while others wait, it is
//! cancelled and starts over in the long lane, which has its own thread. A short question therefore
//! waits at most one slice per client, whatever the others ask, and a long one loses no more than
//! that. A question whose client has gone is cancelled too. In both lanes, a question of a client
//! with many recent requests ([`super::recent`]) yields to one of a client with few, and starts
//! over.

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
use super::method::Takes;
use super::query::Query;
use super::queue::Queue;
use super::recent::Recent;
use super::refused::Refused;
use super::request::Request;
use super::routes::{self, Handler, ROUTES, Route, Table};
use super::source::{Ask, IsOver, Source};

/// How long a question to the history may delay others that have just arrived. A crowd of 32 that
/// asks as much as it can delays a newcomer by three seconds.
const SLICE: Duration = Duration::from_millis(100);
/// How often a waiting connection checks that its client is still there. (Some clients close their
/// side after asking; they get what is answered within this time.)
const LOOK: Duration = Duration::from_millis(500);
/// Questions of one client that may wait for the history. The page asks one after another.
const QUESTIONS_PER_CLIENT: usize = 4;

/// A question, waiting for its answer.
struct Question<W> {
    address: IpAddr,
    asked: W,
    takes_gzip: bool,
    reply: SyncSender<Made>,
    /// Whether the client no longer waits for the answer.
    is_gone: Arc<AtomicBool>,
}

/// A route and a query: a question about the snapshot and the daemon.
type Place = (&'static Route, Query);

/// Makes answers from a source.
pub struct Answers<S> {
    source: Arc<S>,
    routes: Table,
    bodies: Bodies,
    quick: Queue<Question<Place>>,
    history: Arc<Queue<Question<Ask<S>>>>,
    long: Arc<Queue<Question<Ask<S>>>>,
    recent: Arc<Recent>,
}

impl<S: Source> Answers<S> {
    /// For a web server with `connections` slots: at most half of them may wait for a short
    /// question to the history, an eighth for a long one.
    pub fn new(source: Arc<S>, connections: usize) -> Answers<S> {
        let recent = Arc::<Recent>::default();
        let lane = |most: usize| Queue::new(most.max(1), QUESTIONS_PER_CLIENT, recent.clone());
        Answers {
            source,
            routes: ROUTES,
            bodies: Bodies::default(),
            // There cannot be more waiting than there are connections.
            quick: Queue::new(usize::MAX, usize::MAX, recent.clone()),
            history: Arc::new(lane(connections / 2)),
            long: Arc::new(lane(connections / 8)),
            recent,
        }
    }

    /// The same with other routes.
    #[cfg(test)]
    pub(super) fn with_routes(self, routes: &'static [Route]) -> Answers<S> {
        Answers { routes: Table(routes), ..self }
    }

    /// The clients' recent requests, which the guard's limits use as well.
    pub(super) fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// What a path takes.
    pub(super) fn takes(&self, path: &str) -> Takes {
        self.routes.takes(path)
    }

    /// Records a request on a connection that the client opened for an earlier request. (The
    /// opening has been recorded already.)
    pub(super) fn note_further(&self, request: &Request) {
        let route = self.routes.find(&request.path, request.method);
        if let Some(Handler::History | Handler::HistoryCsv) = route.map(|route| route.handler) {
            self.recent.note(Client::from(request.address), Instant::now());
        }
    }

    /// Answers questions about the snapshot and the daemon, until [`Answers::close`]: the body of
    /// the first thread.
    pub fn run(&self) {
        while let Some((_turn, question)) = self.quick.next() {
            let Question { asked: (route, query), takes_gzip, reply, .. } = question;
            let body = match route.handler {
                Handler::Snapshot(tell) => {
                    let (snapshot, age) = (self.source.snapshot(), self.source.age());
                    self.bodies.get(snapshot.number, &asked(route, query.text(), age), || {
                        tell(&routes::Asked { snapshot: &snapshot, age, query: &query })
                    })
                }
                // Once a second at most, as it may be large.
                Handler::Names => {
                    let number = self.source.snapshot().number;
                    self.bodies.get(number, route.name, || Ok(self.source.names().to_string()))
                }
                // The status. Questions to the history have queues of their own.
                Handler::Status | Handler::History | Handler::HistoryCsv => {
                    Ok(Body::new(self.source.status().to_string()))
                }
                #[cfg(test)]
                Handler::Request(_) => Err((500, "answered by its own thread".to_owned())),
            };
            let (status, body) = made(body);
            if takes_gzip {
                body.pack();
            }
            // The client may have gone in the meantime.
            let _ = reply.send((status, body));
        }
    }

    /// Answers short questions to the history, one after another, until [`Answers::close`]: the
    /// body of the second thread.
    pub fn run_history(&self) {
        self.run_lane(&self.history, SLICE);
    }

    /// Answers the long ones in the same way: the body of the third thread.
    pub fn run_long_history(&self) {
        self.run_lane(&self.long, Duration::MAX);
    }

    /// Answers the questions of a lane. One that has to yield moves to the long lane; if that is
    /// full, it is refused.
    fn run_lane(&self, lane: &Arc<Queue<Question<Ask<S>>>>, slice: Duration) {
        while let Some((turn, question)) = lane.next() {
            let (queue, running) = (lane.clone(), turn.running());
            let gives_way = move || queue.wants_the_turn_of(&running, slice);
            if let Some(question) = self.ask_history(question, gives_way) {
                self.long.push(question.address, question);
            }
        }
    }

    /// Answers a question to the history. Returns the question if `gives_way` cancelled it.
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

    /// Ends the three threads. Questions that still wait are refused.
    pub fn close(&self) {
        self.quick.close();
        self.history.close();
        self.long.close();
    }

    /// Answers a request. `is_gone` says whether the client has hung up.
    ///
    /// # Errors
    /// There is no room for the question, it takes longer than `time`, the client has gone, or it
    /// asks for CSV by HTTP/1.0.
    pub(super) fn answer(
        self: &Arc<Self>,
        request: &Request,
        time: Duration,
        is_gone: impl Fn() -> bool,
    ) -> Result<Answer, Refused> {
        let Request { method, ref path, ref query, address, takes_gzip, .. } = *request;
        if let Some(asset) = bundle::find(path) {
            return Ok(Answer::file(asset, request));
        }
        if let Some(page) = bundle::unbuilt().filter(|_| path == "/") {
            return Ok(Answer::page(page));
        }
        let Some(route) = self.routes.find(path, method) else {
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
            Handler::HistoryCsv => return self.csv(request, time, is_gone),
            #[cfg(test)]
            Handler::Request(tell) => (200, Body::new(tell(request))),
            Handler::Snapshot(_) | Handler::Status | Handler::Names => {
                if let Handler::Snapshot(_) = route.handler {
                    let asked = asked(route, query.text(), self.source.age());
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

    /// An answer of the history as CSV, made in parts while it is sent.
    fn csv(
        self: &Arc<Self>,
        request: &Request,
        time: Duration,
        is_gone: impl Fn() -> bool,
    ) -> Result<Answer, Refused> {
        let address = request.address;
        if !request.knows_chunks {
            return Err(Refused::new(505, "This answer comes in chunks, which takes HTTP/1.1."));
        }
        let (query, export) = (request.query.clone(), Arc::<OnceLock<Arc<Export>>>::default());
        let begun = export.clone();
        let ask = move |source: &S, is_over: IsOver| {
            let export = Export::begin(&query, source, &is_over)?;
            let head = export.head();
            // A question that yields starts over: the first run that completes counts.
            let _ = begun.set(Arc::new(export));
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
                // There may be room in a moment, unless the daemon is stopping.
                Err(Refused { status: 503, .. }) if !answers.history.is_closed() => None,
                made => Some(made.ok()),
            }
        });
        Ok(Answer::csv(reader, export.part_size(), &name))
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
    const BUSY: Refused = Refused::new(503, "Too many questions; try again in a moment.");
    if !queue.push(address, question) {
        return Err(BUSY);
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match answered.recv_timeout(left.min(LOOK)) {
            Ok(made) => return Ok(made),
            Err(RecvTimeoutError::Timeout) if left <= LOOK => {
                return Err(Refused::new(
                    504,
                    "The answer takes too long; ask for a shorter span.",
                ));
            }
            Err(RecvTimeoutError::Timeout) if is_gone() => {
                return Err(Refused::new(503, "The client has gone."));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // It was displaced by another client's question, or the daemon is stopping.
            Err(RecvTimeoutError::Disconnected) => return Err(BUSY),
        }
    }
}

/// When dropped, marks the question as abandoned.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The cache key of a body. If the counting hangs, the snapshot ages: the age is a part of the
/// answer, so the answer is made anew each second.
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
