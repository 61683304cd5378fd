//! What is served under which path.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use serde_json::{Value, json};
use tiny_http::{Header, Request, Response, ResponseBox, Server, StatusCode};

use super::api::{self, Page};
use super::bodies::{Bodies, Body, Form};
use super::bundle::{self, Asset};
use crate::account::Snapshot;
use crate::failure::{Exit, Failure};
use crate::store::question::{Answer, Question};

/// Where the answers come from.
pub trait Source: Send + Sync + 'static {
    /// The latest snapshot.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The answer of `GET /api/v1/status`.
    fn status(&self) -> Value;
    /// The answer to a question about the history.
    ///
    /// # Errors
    /// See [`crate::store::query::History`].
    fn history(&self, question: &Question) -> Result<Answer, Failure>;
}

/// Nothing may be loaded from, sent to, or framed by any other host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Nothing at all may be loaded: for answers that are no page.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What every answer carries, besides a policy.
const SAFETY: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// The same as text, for answers that are not the server's inside.
pub(crate) fn safety_headers() -> String {
    let all = SAFETY.iter().chain(&[("Content-Security-Policy", DATA_POLICY)]);
    all.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// Where questions to the history are asked.
pub(super) const HISTORY: &str = "/api/v1/history";

/// Rows that a table shows when nobody says how many.
const ROWS: usize = 50;
/// Rows that one answer holds at most: whatever a client asks for, memory stays bounded.
const ROWS_MOST: usize = 1_000;

/// Listens on the private socket for requests that the guard has let through.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(socket: &Path) -> Result<Server, Failure> {
    let _ = std::fs::remove_file(socket);
    Server::http_unix(socket).map_err(|e| {
        Failure::new(Exit::Unavailable, format!("{}: cannot listen: {e}", socket.display()))
    })
}

/// Questions to the history that are answered or wait here. The guard lets no more through:
/// the others wait there.
pub const QUESTIONS: usize = 2;

/// Answers requests until the server is unblocked: the body of one web thread. Questions to
/// the history, which can take seconds, go to the other one.
pub fn run(
    server: &Server,
    source: &impl Source,
    bodies: &Bodies,
    questions: &SyncSender<Request>,
) {
    for request in server.incoming_requests() {
        let question = match split(&request) {
            (HISTORY, _) => questions.try_send(request),
            _ => {
                let answer = answer(&request, source, bodies);
                // The client may have gone; the guard has counted it.
                let _ = request.respond(answer);
                continue;
            }
        };
        if let Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) = question {
            let problem = "too many questions to the history at once; try again in a moment";
            let _ = request.respond(outcome(Err((503, problem.to_owned())), false));
        }
    }
}

/// Answers questions to the history, one after the other: the body of the other web thread.
pub fn run_history(questions: &Receiver<Request>, source: &impl Source) {
    for request in questions {
        let answer = super::history::history(split(&request).1, source).map(Body::new);
        let answer = outcome(answer, takes_gzip(&request));
        let _ = request.respond(answer);
    }
}

/// Path and query of a request.
fn split(request: &Request) -> (&str, &str) {
    request.url().split_once('?').unwrap_or((request.url(), ""))
}

type Reply = Response<std::io::Cursor<Vec<u8>>>;

fn answer(request: &Request, source: &impl Source, bodies: &Bodies) -> ResponseBox {
    let (path, query) = split(request);
    if let Some(asset) = bundle::find(path) {
        return file(request, asset).boxed();
    }
    if let Some(page) = bundle::unbuilt().filter(|_| path == "/") {
        let answer = Response::from_string(page);
        return decorate(answer, &[("Content-Type", "text/html; charset=utf-8")]).boxed();
    }
    let body = if path == "/api/v1/status" {
        Ok(Body::new(source.status().to_string()))
    } else {
        let snapshot = source.snapshot();
        let question = format!("{path}?{query}");
        bodies.get(snapshot.number, &question, || table(path, query, &snapshot))
    };
    outcome(body, takes_gzip(request))
}

/// Whether the client takes gzip. The guard has made a plain word of what it said.
fn takes_gzip(request: &Request) -> bool {
    let is_it =
        |header: &Header| header.field.equiv("Accept-Encoding") && header.value.as_str() == "gzip";
    request.headers().iter().any(is_it)
}

/// An answer of the API, or its HTTP status and what the problem is.
fn outcome(body: Result<Arc<Body>, (u16, String)>, takes_gzip: bool) -> ResponseBox {
    let (status, body) = match body {
        Ok(body) => (200, body),
        Err((status, problem)) => (status, Body::new(json!({ "error": problem }).to_string())),
    };
    json_answer(status, body, takes_gzip).boxed()
}

/// What the snapshot tells under a path.
fn table(path: &str, query: &str, snapshot: &Snapshot) -> Result<String, (u16, String)> {
    let found =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let wrong =
        |name: &str, value: &str| (400, format!("'{name}' must be a whole number, not '{value}'"));
    let parameter = |name: &str, default: usize| {
        let value = |value| usize::from_str(value).map_err(|_| wrong(name, value));
        found(name).map_or(Ok(default), value)
    };
    let rows = |name: &str, default: usize| match parameter(name, default)? {
        0 => Ok(ROWS_MOST),
        rows => Ok(rows.min(ROWS_MOST)),
    };
    let page = || Ok(Page { offset: parameter("offset", 0)?, limit: rows("limit", ROWS)? });
    match path {
        "/api/v1/live" => Ok(api::live(snapshot, parameter("seconds", 60)?, rows("top", 10)?)),
        "/api/v1/pulse" => {
            let since = |value| i64::from_str(value).map_err(|_| wrong("since", value));
            let since = found("since").map(since).transpose()?;
            let text = |name: &str| {
                form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == name).map(|(_, v)| v)
            };
            let one = text("what").zip(text("name"));
            let one = one.map(|(what, name)| api::one(snapshot, &what, &name)).transpose();
            let one = one.map_err(|problem| (400, problem))?;
            Ok(api::pulse(snapshot, since, parameter("top", ROWS)?, one))
        }
        "/api/v1/hosts" => {
            match form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == "name") {
                Some((_, name)) => match name.parse() {
                    Ok(address) => Ok(api::host(snapshot, address)),
                    Err(_) => Err((400, format!("'name' must be an IP address, not '{name}'"))),
                },
                None => Ok(api::hosts(snapshot, page()?)),
            }
        }
        "/api/v1/ports" => Ok(api::ports(snapshot, page()?)),
        "/api/v1/protocols" => Ok(api::protocols(snapshot)),
        "/api/v1/interfaces" => Ok(api::interfaces(snapshot)),
        _ => Err((404, format!("there is no '{path}' here"))),
    }
}

fn json_answer(status: u16, body: Arc<Body>, takes_gzip: bool) -> Response<std::io::Cursor<Form>> {
    let (reader, length, is_packed) = body.form(takes_gzip);
    let answer = Response::new(StatusCode(status), Vec::new(), reader, Some(length), None);
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept-Encoding"),
    ];
    if is_packed {
        headers.push(("Content-Encoding", "gzip"));
    }
    with_headers(answer, DATA_POLICY, &headers)
}

fn file(request: &Request, asset: &'static Asset) -> Reply {
    let header = |name: &'static str| {
        let found = request.headers().iter().find(|header| header.field.equiv(name));
        found.map_or("", |header| header.value.as_str())
    };
    let age = if asset.is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut headers = vec![
        ("Content-Type", asset.kind),
        ("Cache-Control", age),
        ("ETag", asset.etag),
        ("Vary", "Accept-Encoding"),
    ];
    let (status, body) = if header("If-None-Match").contains(asset.etag) {
        (304, Vec::new())
    } else if header("Accept-Encoding").contains("gzip") {
        headers.push(("Content-Encoding", "gzip"));
        (200, asset.gzip.to_vec())
    } else {
        (200, asset.plain())
    };
    decorate(Response::from_data(body).with_status_code(status), &headers)
}

fn decorate(answer: Reply, headers: &[(&str, &str)]) -> Reply {
    with_headers(answer, POLICY, headers)
}

fn with_headers<R: Read>(
    answer: Response<R>,
    policy: &str,
    headers: &[(&str, &str)],
) -> Response<R> {
    // The guard wants to know the length: no chunks.
    let mut answer = answer.with_chunked_threshold(usize::MAX);
    for (name, value) in [("Content-Security-Policy", policy)].iter().chain(&SAFETY).chain(headers)
    {
        if let Ok(header) = Header::from_bytes(*name, *value) {
            // `from_string` has set its own Content-Type; adding one replaces it.
            answer.add_header(header);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Sender};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::failure::Exit;
    use crate::web::backend::Backend;
    use crate::web::request::Sound;

    const TIME: Duration = Duration::from_secs(20);

    /// A source whose history answers when it is told to.
    struct Slow(Mutex<Receiver<()>>);

    impl Source for Slow {
        fn snapshot(&self) -> Arc<Snapshot> {
            Arc::default()
        }
        fn status(&self) -> Value {
            Value::Null
        }
        fn history(&self, _: &Question) -> Result<Answer, Failure> {
            let _ = self.0.lock().unwrap().recv_timeout(TIME);
            Err(Failure::new(Exit::Unavailable, "told to".to_owned()))
        }
    }

    fn status(backend: &Backend, path: &str) -> String {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let is_long = path == HISTORY;
        let request = Sound { text, is_head: false, is_long };
        match backend.ask(&request, TIME, |_| true) {
            Ok(answer) => String::from_utf8_lossy(&answer[9..12]).into_owned(),
            Err(_) => "none".to_owned(),
        }
    }

    /// Ends the web threads, also where a test has failed.
    struct End<'a>(&'a Server);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.unblock();
        }
    }

    /// Runs the two web threads around `body`.
    fn serving(body: impl FnOnce(&Backend, &Sender<()>)) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let server = listen(&socket).unwrap();
        let (go, told) = mpsc::channel();
        let source = Slow(Mutex::new(told));
        let bodies = Bodies::default();
        let (sender, questions) = mpsc::sync_channel(QUESTIONS);
        let (server, source, bodies) = (&server, &source, &bodies);
        thread::scope(|scope| {
            scope.spawn(move || run(server, source, bodies, &sender));
            scope.spawn(move || run_history(&questions, source));
            let _end = End(server);
            let backend = Backend::new(socket);
            backend.make_ready().unwrap();
            body(&backend, &go);
        });
    }

    #[test]
    fn long_questions_to_the_history_hold_up_nobody_else() {
        serving(|backend, go| {
            thread::scope(|scope| {
                let ask = || status(backend, "/api/v1/history");
                let asked: Vec<_> = (0..10).map(|_| scope.spawn(ask)).collect();
                // One is being answered, the others wait.
                while !backend.is_full_of_questions() {
                    thread::yield_now();
                }
                for path in ["/api/v1/live", "/api/v1/status", "/"] {
                    assert_eq!(status(backend, path), "200", "{path}");
                }
                assert!(asked.iter().all(|asked| !asked.is_finished()));
                for _ in &asked {
                    go.send(()).unwrap();
                }
                for asked in asked {
                    assert_eq!(asked.join().unwrap(), "503");
                }
            });
        });
    }
}
