//! What is served under which path.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Value, json};
use tiny_http::{Header, Request, Response, Server};

use super::api::{self, Page};
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

/// The page: one static bundle inside the program.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("ui/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("ui/app.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("ui/style.css")),
];

/// Nothing may be loaded from, sent to, or framed by any other host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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

/// Answers requests until the server is unblocked: the body of the web thread.
pub fn run(server: &Server, source: &impl Source) {
    for request in server.incoming_requests() {
        let answer = answer(&request, source);
        // The client may have gone; the guard has counted it.
        let _ = request.respond(answer);
    }
}

type Reply = Response<std::io::Cursor<Vec<u8>>>;

fn answer(request: &Request, source: &impl Source) -> Reply {
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    if let Some((_, kind, text)) = FILES.iter().find(|(name, ..)| *name == path) {
        return file(request, kind, text);
    }
    let parameter = |name: &str, default: usize| -> Result<usize, String> {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.map_or(Ok(default), |value| {
            let number = usize::from_str(value);
            number.map_err(|_| format!("'{name}' must be a whole number, not '{value}'"))
        })
    };
    let rows = |name: &str, default: usize| -> Result<usize, String> {
        Ok(match parameter(name, default)? {
            0 => ROWS_MOST,
            rows => rows.min(ROWS_MOST),
        })
    };
    let page = || Ok(Page { offset: parameter("offset", 0)?, limit: rows("limit", ROWS)? });
    if path == "/api/v1/history" {
        return match super::history::history(query, source) {
            Ok(text) => json_text(200, text),
            Err((status, problem)) => json_answer(status, &json!({ "error": problem })),
        };
    }
    let snapshot = source.snapshot();
    let value = match path {
        "/api/v1/status" => Ok(source.status()),
        "/api/v1/live" => parameter("seconds", 60)
            .and_then(|seconds| Ok(api::live(&snapshot, seconds, rows("top", 10)?))),
        "/api/v1/hosts" => page().map(|page| api::hosts(&snapshot, page)),
        "/api/v1/ports" => page().map(|page| api::ports(&snapshot, page)),
        "/api/v1/protocols" => Ok(api::protocols(&snapshot)),
        "/api/v1/interfaces" => Ok(api::interfaces(&snapshot)),
        _ => return json_answer(404, &json!({ "error": format!("there is no '{path}' here") })),
    };
    match value {
        Ok(value) => json_answer(200, &value),
        Err(problem) => json_answer(400, &json!({ "error": problem })),
    }
}

fn json_answer(status: u16, value: &Value) -> Reply {
    json_text(status, value.to_string())
}

fn json_text(status: u16, text: String) -> Reply {
    let answer = Response::from_string(text).with_status_code(status);
    decorate(answer, &[("Content-Type", "application/json"), ("Cache-Control", "no-store")])
}

fn file(request: &Request, kind: &str, text: &str) -> Reply {
    let etag = format!("\"{:016x}\"", fingerprint(text));
    let is_known = request
        .headers()
        .iter()
        .any(|header| header.field.equiv("If-None-Match") && header.value.as_str().contains(&etag));
    let (status, body) = if is_known { (304, "") } else { (200, text) };
    let answer = Response::from_string(body).with_status_code(status);
    decorate(answer, &[("Content-Type", kind), ("Cache-Control", "no-cache"), ("ETag", &etag)])
}

/// FNV-1a: it only has to change when the file does.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn decorate(answer: Reply, headers: &[(&str, &str)]) -> Reply {
    let always = [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ];
    // The guard passes bytes on until the end: no chunks, whatever the length.
    let mut answer = answer.with_chunked_threshold(usize::MAX);
    for (name, value) in always.iter().chain(headers) {
        if let Ok(header) = Header::from_bytes(*name, *value) {
            // `from_string` has set its own Content-Type; adding one replaces it.
            answer.add_header(header);
        }
    }
    answer
}
