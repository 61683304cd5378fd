//! The names and links in a report.

use serde_json::{Map, Value, json};

use super::time::rfc3339;
use crate::account::HostRow;
use crate::decode::Addr;
use crate::names::Book;
use crate::names::book::{NameRow, Times, best};

/// The most characters of a name in a table for people.
const WIDTH: usize = 40;

/// The names of a book, sorted.
pub struct Names<'a> {
    book: &'a Book,
    rows: Vec<NameRow<'a>>,
}

impl<'a> Names<'a> {
    /// Sorts the names of a book.
    pub fn new(book: &'a Book) -> Names<'a> {
        Names { book, rows: book.names() }
    }

    /// Adds names and links to a report in JSON.
    pub fn add_to(&self, report: &mut Value) {
        let names: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let mut shown = Map::new();
                shown.insert("ip".to_owned(), json!(Addr::from(row.address).to_string()));
                shown.insert("name".to_owned(), json!(row.name.as_str()));
                shown.insert("source".to_owned(), json!(row.source.name()));
                add_times(&mut shown, row.times);
                if row.is_shared {
                    shown.insert("shared".to_owned(), json!(true));
                }
                Value::Object(shown)
            })
            .collect();
        let links: Vec<Value> = self
            .book
            .links()
            .iter()
            .map(|row| {
                let mut shown = Map::new();
                shown.insert("ip".to_owned(), json!(Addr::from(row.address).to_string()));
                shown.insert("mac".to_owned(), json!(row.mac.to_string()));
                shown.insert("source".to_owned(), json!(row.source.name()));
                add_times(&mut shown, row.times);
                Value::Object(shown)
            })
            .collect();
        report["names"] = json!(names);
        report["links"] = json!(links);
        if self.book.dropped() > 0 {
            report["names_dropped"] = json!(self.book.dropped());
        }
    }

    /// The best name of a host, as a cell of a table.
    pub fn cell(&self, host: &HostRow) -> String {
        let address = host.address.ip();
        let from = self.rows.partition_point(|row| row.address < address);
        let of_host = &self.rows[from..];
        let of_host = &of_host[..of_host.partition_point(|row| row.address == address)];
        let Some(best) = best(of_host, host.local) else { return String::new() };
        let name = shortened(best.name.as_str());
        if best.is_shared { format!("{name} (or behind it)") } else { name }
    }
}

fn add_times(row: &mut Map<String, Value>, times: Times) {
    row.insert("first".to_owned(), json!(rfc3339(times.first)));
    row.insert("last".to_owned(), json!(rfc3339(times.last)));
    row.insert("count".to_owned(), json!(times.count));
}

/// The end of a long name: it says more of whose it is than the beginning.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= WIDTH {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length - (WIDTH - 1)).collect();
    format!("\u{2026}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_shows_its_end() {
        assert_eq!(shortened("a.example"), "a.example");
        let long = format!("{}.example.org", "\u{e9}".repeat(60));
        assert_eq!(shortened(&long).chars().count(), WIDTH);
        assert!(shortened(&long).ends_with("\u{e9}.example.org"));
    }
}
