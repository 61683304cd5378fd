//! A row of an answer while it is read: its sums, and what lies in which point.

use super::kind::Kind;
use super::rows::{Cell, Row};

/// A row while it is read.
///
/// A long span has tens of thousands, most of which lie in a single point: as long as that
/// is so, the total is the series.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) total: Vec<Cell>,
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
            self.total.clone_from(&row.cells);
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
                    cells: self.total.clone(),
                    dropped: vec![self.extras[1]],
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
        let several = points.iter().zip(cells.chunks_exact(ways)).zip(dropped);
        only.into_iter().chain(several.map(|(((point, parts), cells), dropped)| {
            (*point as usize, *parts, cells, dropped.cast_unsigned())
        }))
    }
}

impl Series {
    fn add(&mut self, row: &Row, point: u32) -> usize {
        let dropped = row.extras.get(1).copied().unwrap_or(0);
        match (self.points.last_mut(), self.dropped.last_mut()) {
            (Some((last, parts)), Some(sum)) if *last == point => {
                *parts += row.parts;
                *sum += dropped;
                let begin = self.cells.len() - row.cells.len();
                let sums = self.cells[begin..].iter_mut();
                sums.zip(&row.cells).for_each(|(sum, more)| sum.add(more));
                0
            }
            _ => {
                self.points.push((point, row.parts));
                self.cells.extend_from_slice(&row.cells);
                self.dropped.push(dropped);
                1
            }
        }
    }
}
