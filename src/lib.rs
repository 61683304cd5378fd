//! brightstat watches a network and remembers what it saw: who used it, how much, on
//! which ports and protocols.
//!
//! The flow goes one way:
//!
//! ```text
//!  interface or file
//!       |  libpcap
//!  capture thread -- decode --> ring --> worker thread --> snapshot --> web
//!                                             |  closed intervals
//!                                             +--> store thread --> SQLite
//! ```
//!
//! A module imports only modules that stand before it in this list (docs/ARCHITECTURE.md has the
//! same one, and what happens in each; a test compares them with the sources):
//!
//! | module | what it is |
//! | --- | --- |
//! | [`failure`] | errors for people, exit codes |
//! | [`decode`] | frame to packet record |
//! | [`ring`] | the bounded ring between capture and worker |
//! | [`account`] | the counters |
//! | [`config`] | `brightstat.toml` |
//! | [`capture`] | live interfaces and capture files |
//! | [`store`] | SQLite history |
//! | [`export`] | reports as JSON and as tables |
//! | [`web`] | the guard, the JSON API and the page |
//! | [`daemon`] | puts the modules together: threads, signals, privileges |
//! | [`command`] | the command line |
//! | [`hostile`] | what is read from others, by one door each: for fuzzing |

pub mod account;
pub mod capture;
pub mod command;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod export;
pub mod failure;
pub mod hostile;
pub mod ring;
pub mod store;
pub mod web;
