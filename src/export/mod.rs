//! Formats counters and history for people and programs: reports, tables, JSON, CSV. Runs on the
//! thread of the command or of the web that asks.

pub mod busiest;
pub mod history;
pub mod history_csv;
pub mod history_json;
pub mod history_text;
pub mod names;
pub mod report;
pub mod table;
pub mod time;
pub mod words;
