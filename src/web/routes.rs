//! What is served under which path.

use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use super::api::{self, Page};
use crate::account::Snapshot;
use crate::failure::Failure;
use crate::store::question::{Answer, Question};

/// Where the answers come from.
pub trait Source: Send + Sync + 'static {
    /// The latest snapshot.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// How old the latest snapshot is, seconds. One comes each second, so that below two
    /// seconds this is 0.
    fn age(&self) -> u64;
    /// The answer of `GET /api/v1/status`.
    fn status(&self) -> Value;
    /// The answer to a question about the history; a failure soon after `is_over` has said so.
    ///
    /// # Errors
    /// See [`crate::store::query::History`].
    fn history(&self, question: &Question, is_over: IsOver) -> Result<Answer, Failure>;
}

/// Whether nobody wants the answer any more that is being made.
pub type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// What is asked of the history: a text, or an HTTP status and a problem. It may be begun several
/// times.
pub(super) type Ask<S> = Arc<dyn Fn(&S, IsOver) -> Result<String, (u16, String)> + Send + Sync>;

/// Where questions to the history are asked.
pub(super) const HISTORY: &str = "/api/v1/history";
/// The same as CSV, of any length.
pub(super) const HISTORY_CSV: &str = "/api/v1/history.csv";
/// Where the daemon tells how it is doing.
pub(super) const STATUS: &str = "/api/v1/status";

/// Rows that a table shows when nobody says how many.
const ROWS: usize = 50;
/// Rows that one answer holds at most: whatever a client asks for, memory stays bounded.
const ROWS_MOST: usize = 1_000;

/// What the snapshot, which is so many seconds old, tells under a path.
pub(super) fn table(
    path: &str,
    query: &str,
    snapshot: &Snapshot,
    age: u64,
) -> Result<String, (u16, String)> {
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
        "/api/v1/live" => Ok(api::live(snapshot, age, parameter("seconds", 60)?, rows("top", 10)?)),
        "/api/v1/pulse" => {
            let since = |value| i64::from_str(value).map_err(|_| wrong("since", value));
            let since = found("since").map(since).transpose()?;
            let text = |name: &str| {
                form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == name).map(|(_, v)| v)
            };
            let one = text("what").zip(text("name"));
            let one = one.map(|(what, name)| api::one(snapshot, &what, &name)).transpose();
            let one = one.map_err(|problem| (400, problem))?;
            Ok(api::pulse(snapshot, age, since, parameter("top", ROWS)?, one))
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
