//! The HTTP face: the guard in front, `tiny_http` behind it, the JSON API and the page.
//!
//! [`guard`] owns the public listeners and lets only sound requests through, over a
//! private Unix socket, to [`tiny_http`], whose requests [`routes`] answers from the
//! latest snapshot.

pub mod api;
mod bundle;
pub mod guard;
mod history;
pub mod names;
pub mod routes;
