//! Where the answers of the web come from: what the daemon hands to it.

use std::sync::Arc;

use serde_json::Value;

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
pub type Ask<S> = Arc<dyn Fn(&S, IsOver) -> Result<String, (u16, String)> + Send + Sync>;
