//! The HTTP face: the guard, the JSON API and the page.
//!
//! [`guard`] owns the public listeners, limits and connections. A connection's own thread reads
//! and checks a request, has it answered ([`Answers`]) and lets `tiny_http` write the answer.
//! Bodies are made once and shared ([`bodies`]).

pub(crate) mod answer;
mod answers;
pub mod api;
mod bodies;
mod bundle;
mod client;
mod csv;
pub mod guard;
mod history;
pub mod names;
mod one;
mod queue;
mod recent;
pub(crate) mod request;
pub mod routes;
pub mod source;

pub use answers::Answers;
