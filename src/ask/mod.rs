//! The words of a question to the history, as the command line and the API take them, and what
//! they mean.

mod question;
pub mod when;

pub use question::{Words, question, step};
