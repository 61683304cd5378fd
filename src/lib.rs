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
//! A module imports only modules above it in this table (`tests/rooms.rs` checks that;
//! docs/ARCHITECTURE.md says what happens in each):
//!
//! | module | purpose |
//! | --- | --- |
//! | [`failure`] | errors for people, exit codes |
//! | [`decode`] | frame to packet record |
//! | [`ring`] | the bounded ring between capture and worker |
//! | [`account`] | the counters |
//! | [`names`] | who is who: dissectors of names and addresses |
//! | [`event`] | what happened: severity, kind, reason, evidence |
//! | [`config`] | `brightstat.toml` |
//! | [`capture`] | live interfaces and capture files |
//! | [`store`] | SQLite history |
//! | [`ask`] | the words of a question to the history |
//! | [`export`] | reports and answers as text, JSON and CSV |
//! | [`web`] | the guard, the JSON API and the page |
//! | [`daemon`] | puts the modules together: threads, signals, privileges |
//! | [`command`] | the command line |
//! | [`hostile`] | one entry point for each parser of foreign bytes, for the fuzzers |

pub mod account;
pub mod ask;
pub mod capture;
pub mod command;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod event;
pub mod export;
pub mod failure;
pub mod hostile;
pub mod names;
pub mod ring;
pub mod store;
pub mod web;
