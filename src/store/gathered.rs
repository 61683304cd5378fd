//! The rows of an answer while they are read: their sums, and what lies in which point.
//!
//! A long span has tens of thousands of them, and a Pi Zero has 512 MB for everything: they
//! lie close together, and what grows is small.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use super::kind::{Key, Kind};
use super::rows::{Cell, Row};

/// Rows that lie together in one piece of memory. A single piece would be copied to one twice
/// its size again and again, and both be there for a while.
const PIECE: usize = 1_024;

/// Rows by their key.
#[derive(Default)]
pub(super) struct Table {
    places: HashMap<Key, u32>,
    pieces: Vec<Vec<Gathered>>,
}

impl Table {
    /// The row of this key; a new one if there is none.
    pub(super) fn row(&mut self, key: Key) -> &mut Gathered {
        let next = self.places.len();
        let at = *self.places.entry(key).or_insert(next as u32) as usize;
        if at == next {
            if next.is_multiple_of(PIECE) {
                self.pieces.push(Vec::with_capacity(PIECE.min(4 * (next + 1))));
            }
            self.pieces[at / PIECE].push(Gathered::default());
        }
        &mut self.pieces[at / PIECE][at % PIECE]
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Gathered> {
        self.places.get(key).map(|at| &self.pieces[*at as usize / PIECE][*at as usize % PIECE])
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Gathered> {
        let at = *self.places.get(key)? as usize;
        Some(&mut self.pieces[at / PIECE][at % PIECE])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Gathered)> {
        let row = |at: u32| &self.pieces[at as usize / PIECE][at as usize % PIECE];
        self.places.iter().map(move |(key, at)| (key, row(*at)))
    }
}

/// A cell for each of a kind's ways. Two, which most kinds have at most, need no memory of
/// their own.
pub(super) enum Cells {
    Few(usize, [Cell; 2]),
    Many(Box<[Cell]>),
}

impl Default for Cells {
    fn default() -> Cells {
        Cells::Few(0, Default::default())
    }
}

impl From<&[Cell]> for Cells {
    fn from(cells: &[Cell]) -> Cells {
        match cells {
            [one] => Cells::Few(1, [*one, Cell::default()]),
            [one, two] => Cells::Few(2, [*one, *two]),
            _ => Cells::Many(cells.into()),
        }
    }
}

impl Deref for Cells {
    type Target = [Cell];
    fn deref(&self) -> &[Cell] {
        match self {
            Cells::Few(count, cells) => &cells[..*count],
            Cells::Many(cells) => cells,
        }
    }
}

impl DerefMut for Cells {
    fn deref_mut(&mut self) -> &mut [Cell] {
        match self {
            Cells::Few(count, cells) => &mut cells[..*count],
            Cells::Many(cells) => cells,
        }
    }
}

/// A row while it is read.
///
/// A long span has tens of thousands, most of which lie in a single point: as long as that
/// is so, the total is the series.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) total: Cells,
    pub(super) extras: [i64; 2],
    pub(super) parts: u32,
    /// The point of the first part.
    point: u32,
    series: Option<Box<Series>>,
}

/// What lies in each of several points.
#[derive(Default)]
struct Series {
    /// Points, with how many parts each; as many cells as the kind has ways for each.
    points: Vec<(u32, u32)>,
    cells: Vec<Cell>,
    /// Frames lost in each of the points; of interfaces only.
    dropped: Vec<i64>,
}

impl Gathered {
    /// Adds a part, and keeps what lies in its point if that is given. Returns by how many
    /// points the series has grown.
    pub(super) fn add(&mut self, kind: &Kind, row: &Row, point: Option<usize>) -> usize {
        if self.total.is_empty() {
            self.total = row.cells[..].into();
            self.extras.iter_mut().zip(&row.extras).for_each(|(extra, first)| *extra = *first);
            self.parts = row.parts;
            self.point = point.unwrap_or(0) as u32;
            return usize::from(point.is_some());
        }
        let mut grown = 0;
        if let Some(point) = point.map(|point| point as u32)
            && (self.series.is_some() || point != self.point)
        {
            let first = || {
                Box::new(Series {
                    points: vec![(self.point, self.parts)],
                    cells: self.total.to_vec(),
                    dropped: self.extras[..kind.extras.len()].get(1).copied().into_iter().collect(),
                })
            };
            grown = self.series.get_or_insert_with(first).add(row, point);
        }
        self.total.iter_mut().zip(&row.cells).for_each(|(sum, more)| sum.add(more));
        for ((sum, more), extra) in self.extras.iter_mut().zip(&row.extras).zip(kind.extras) {
            *sum = if extra.is_sum { *sum + more } else { (*sum).max(*more) };
        }
        self.parts += row.parts;
        grown
    }

    /// Point by point: its number, its parts, its cells, frames lost in it.
    pub(super) fn series(&self) -> impl Iterator<Item = (usize, u32, &[Cell], u64)> {
        let ways = self.total.len().max(1);
        let (points, cells, dropped): (&[(u32, u32)], &[Cell], &[i64]) = match &self.series {
            Some(series) => (&series.points, &series.cells, &series.dropped),
            None => (&[], &[], &[]),
        };
        let only = self.series.is_none() && !self.total.is_empty();
        let only = only.then(|| {
            (self.point as usize, self.parts, &self.total[..], self.extras[1].cast_unsigned())
        });
        let several = points.iter().zip(cells.chunks_exact(ways)).enumerate();
        only.into_iter().chain(several.map(|(at, ((point, parts), cells))| {
            let dropped = dropped.get(at).copied().unwrap_or(0);
            (*point as usize, *parts, cells, dropped.cast_unsigned())
        }))
    }
}

impl Series {
    fn add(&mut self, row: &Row, point: u32) -> usize {
        let dropped = row.extras.get(1);
        match self.points.last_mut() {
            Some((last, parts)) if *last == point => {
                *parts += row.parts;
                if let (Some(sum), Some(more)) = (self.dropped.last_mut(), dropped) {
                    *sum += more;
                }
                let begin = self.cells.len() - row.cells.len();
                let sums = self.cells[begin..].iter_mut();
                sums.zip(&row.cells).for_each(|(sum, more)| sum.add(more));
                0
            }
            _ => {
                self.points.push((point, row.parts));
                self.cells.extend_from_slice(&row.cells);
                self.dropped.extend(dropped);
                1
            }
        }
    }
}
