//! The web server: the guard, the JSON API and the page.
//!
//! [`guard`] owns the public listeners, limits and connections. Each connection has its own thread:
//! it reads and checks a request, gets the answer from [`Answers`] and lets `tiny_http` write it.
//! Bodies are made once and shared ([`bodies`]).

pub(crate) mod answer;
mod answers;
pub mod api;
mod bodies;
mod bundle;
mod client;
mod csv;
mod framing;
pub mod guard;
mod headers;
mod history;
pub(crate) mod method;
pub mod names;
pub mod pulse;
mod query;
mod queue;
mod recent;
mod refused;
pub(crate) mod request;
pub mod routes;
pub mod source;

pub use answers::Answers;
