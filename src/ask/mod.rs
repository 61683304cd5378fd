//! Parses queries of the history; the command line and the API share their words.
//!
//! Runs on the caller's thread and never reads the database. Errors are sentences for people.

mod question;
pub mod when;

pub use question::{Words, question, step};
