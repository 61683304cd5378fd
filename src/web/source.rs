//! The source of the web server's answers: the interface to the daemon.

use std::sync::Arc;

use serde_json::Value;

use crate::account::Snapshot;
use crate::store::Error;
use crate::store::question::{Answer, Question};

/// The source of the answers.
pub trait Source: Send + Sync + 'static {
    /// The latest snapshot.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The age of the latest snapshot, seconds. A new one comes each second, so an age below two
    /// seconds is reported as 0.
    fn age(&self) -> u64;
    /// The answer of `GET /api/v1/status`.
    fn status(&self) -> Value;
    /// The answer of `GET /api/v1/names`.
    fn names(&self) -> Value;
    /// The answer to a question about the history; a failure soon after `is_over` returns true.
    ///
    /// # Errors
    /// See [`crate::store::query::History`].
    fn history(&self, question: &Question, is_over: IsOver) -> Result<Answer, Error>;
}

/// Whether the answer that is being made is no longer wanted.
pub type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// A question to the history. Its result is a text, or an HTTP status and a problem. It may be run
/// several times.
pub type Ask<S> = Arc<dyn Fn(&S, IsOver) -> Result<String, (u16, String)> + Send + Sync>;
