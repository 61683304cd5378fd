//! What brightstat tells other programs and people outside the web page.

pub mod report;
pub mod table;
pub mod time;
