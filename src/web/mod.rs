//! The HTTP face: the guard in front, `tiny_http` behind it, the JSON API and the page.
//!
//! [`guard`] owns the public listeners and lets only sound requests through, over a
//! private Unix socket, to [`tiny_http`], whose requests [`routes`] answers from the
//! latest snapshot. Bodies are made once and shared ([`bodies`]).

pub mod api;
mod backend;
mod bodies;
mod bundle;
pub mod guard;
mod history;
pub mod names;
mod one;
mod request;
pub mod routes;

pub use backend::Backend;
pub use bodies::Bodies;
