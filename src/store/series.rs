//! The cells of the points of an answer, in few bytes.
//!
//! A table of a week of minutes has some hundred thousand entries: 70 bytes each as plain numbers,
//! about 20 in groups of seven bits (LEB128).

use std::ops::Deref;

use super::rows::Cell;

/// The most ways that a kind has.
const WAYS: usize = 5;

/// A cell for each of a kind's ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    cells: [Cell; WAYS],
    ways: usize,
}

impl Cells {
    /// As many cells as there are ways, all 0.
    pub(super) fn new(ways: usize) -> Cells {
        Cells { cells: Default::default(), ways: ways.min(WAYS) }
    }

    pub(super) fn as_mut(&mut self) -> &mut [Cell] {
        &mut self.cells[..self.ways]
    }
}

impl From<&[Cell]> for Cells {
    fn from(from: &[Cell]) -> Cells {
        let mut cells = Cells::new(from.len());
        cells.as_mut().copy_from_slice(&from[..from.len().min(WAYS)]);
        cells
    }
}

impl Deref for Cells {
    type Target = [Cell];
    fn deref(&self) -> &[Cell] {
        &self.cells[..self.ways]
    }
}

/// The points with traffic, in order: each one's index and cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    bytes: Vec<u8>,
    ways: usize,
    len: usize,
    /// The index of the last point.
    last: usize,
}

impl Series {
    /// How many points there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a point that comes after all others.
    pub fn push(&mut self, point: usize, cells: &[Cell]) {
        let before = if self.len == 0 { 0 } else { self.last };
        (self.last, self.len, self.ways) = (point, self.len + 1, cells.len());
        // Grow by an eighth: doubling would double the memory of many rows.
        let most = 10 * (1 + 4 * cells.len());
        if self.bytes.capacity() - self.bytes.len() < most {
            self.bytes.reserve_exact(most.max(self.bytes.len() / 8));
        }
        self.put((point - before) as u64);
        for cell in cells {
            self.put(cell.packets);
            self.put(cell.bytes);
            self.put(cell.least);
            self.put(cell.greatest);
        }
    }

    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// The points, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Cells)> {
        let (mut at, mut point) = (0, 0);
        let mut next = move || {
            let (mut number, mut shift) = (0_u64, 0);
            loop {
                let byte = self.bytes.get(at).copied().unwrap_or(0);
                at += 1;
                number |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return number;
                }
            }
        };
        (0..self.len).map(move |_| {
            point += next() as usize;
            let mut cells = Cells::new(self.ways);
            for cell in cells.as_mut() {
                let (packets, bytes) = (next(), next());
                *cell = Cell { packets, bytes, least: next(), greatest: next() };
            }
            (point, cells)
        })
    }
}

impl<C: AsRef<[Cell]>> FromIterator<(usize, C)> for Series {
    fn from_iter<I: IntoIterator<Item = (usize, C)>>(all: I) -> Series {
        let mut series = Series::default();
        all.into_iter().for_each(|(point, cells)| series.push(point, cells.as_ref()));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_gives_back_what_it_was_given_in_few_bytes() {
        for ways in 1..=WAYS {
            let cell = |n: u64| Cell { packets: n, bytes: n << 40, least: u64::MAX, greatest: 0 };
            let points: Vec<(usize, Vec<Cell>)> = [0, 1, 127, 128, 11_999]
                .into_iter()
                .map(|point| (point, (0..ways as u64).map(cell).collect()))
                .collect();
            let series: Series = points.iter().map(|(point, cells)| (*point, cells)).collect();
            let back: Vec<_> =
                series.iter().map(|(point, cells)| (point, cells.to_vec())).collect();
            assert_eq!(back, points);
        }
        let usual = Cell { packets: 500, bytes: 400_000, least: 0, greatest: 90_000 };
        let series: Series = (0..10_000).map(|point| (point, [usual; 2])).collect();
        assert!(series.bytes.capacity() < 220_000, "{}", series.bytes.capacity());
    }
}
