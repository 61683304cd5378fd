//! Plain-text tables and numbers for people.

use crate::failure::printable;

/// A table whose columns line up.
pub struct TextTable {
    rows: Vec<Vec<String>>,
    /// How many text columns come first, left-aligned; the others are numbers.
    left: usize,
}

impl TextTable {
    /// A table with these column heads; the first `left` columns hold text.
    pub fn new(left: usize, heads: &[&str]) -> TextTable {
        TextTable { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()], left }
    }

    /// Adds a row. Control characters are escaped.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).into_owned()).collect());
    }

    /// Whether there are only the heads.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The number of rows, with the heads.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The table as lines, each ending in a line feed.
    pub fn render(&self) -> String {
        let mut layout = Layout::new(self.left);
        self.rows.iter().for_each(|row| layout.see(row));
        self.rows.iter().map(|row| layout.line(row)).collect()
    }
}

/// The column widths of a table that is too long to hold in memory.
pub struct Layout {
    widths: Vec<usize>,
    left: usize,
}

impl Layout {
    /// A layout without rows; the first `left` columns hold text.
    pub fn new(left: usize) -> Layout {
        Layout { widths: Vec::new(), left }
    }

    /// Widens the columns to fit a row.
    pub fn see(&mut self, row: &[String]) {
        self.widths.resize(self.widths.len().max(row.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    /// A row as a line that ends in a line feed.
    pub fn line(&self, row: &[String]) -> String {
        let mut line = String::from("  ");
        for (column, (cell, width)) in row.iter().zip(self.widths.iter().copied()).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if column < self.left {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("{cell:>width$}"));
            }
        }
        format!("{}\n", line.trim_end())
    }
}

/// A whole number with its digits in groups of three: `1 234 567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A share in percent, one decimal.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor_or_begin_a_line() {
        let mut table = TextTable::new(1, &["name", "bytes"]);
        table.row(vec!["\x1b[2Ka\nb".into(), "1".into()]);
        assert_eq!(table.render(), "  name               bytes\n  \\u001b[2Ka\\u000ab      1\n");
    }

    #[test]
    fn columns_line_up() {
        let mut table = TextTable::new(1, &["name", "bytes"]);
        table.row(vec!["a".into(), "12345".into()]);
        table.row(vec!["longer".into(), "1".into()]);
        assert_eq!(table.render(), "  name    bytes\n  a       12345\n  longer      1\n");
    }
}
