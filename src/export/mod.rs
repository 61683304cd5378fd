//! What brightstat tells other programs and people outside the web page.

pub mod history;
pub mod history_csv;
pub mod history_json;
pub mod history_text;
pub mod report;
pub mod table;
pub mod time;
pub mod words;
