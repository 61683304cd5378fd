//! What is served under which path.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Value, json};
use tiny_http::{Header, Request, Response, Server};

use super::api::{self, Page};
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
    if let Some(asset) = bundle::find(path) {
        return file(request, asset);
    }
    if let Some(page) = bundle::unbuilt().filter(|_| path == "/") {
        let answer = Response::from_string(page);
        return decorate(answer, &[("Content-Type", "text/html; charset=utf-8")]);
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
