//! A row of an answer while it is read: its sum and its points.

use super::kind::Kind;
use super::rows::{Cell, Row};
use super::series::{Cells, Series};

/// A row while it is read, in the order of points.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) total: Cells,
    pub(super) extras: [i64; 2],
    pub(super) parts: u32,
    /// The point that is being read: its number, its parts, its cells, frames lost in it.
    open: Option<(usize, u32, Cells, u64)>,
    pub(super) series: Series,
    /// Frames lost in each point; of interfaces only.
    pub(super) dropped: Vec<u64>,
}

impl Sums {
    /// Adds a part of a point. If the row is missing from some of the point's `intervals`, its
    /// least rate is 0; `None` turns that off.
    pub(super) fn add(&mut self, kind: &Kind, row: &Row, point: usize, intervals: Option<&[u32]>) {
        let lost = row.extras.get(1).map_or(0, |lost| lost.cast_unsigned());
        match &mut self.open {
            Some((open, parts, cells, dropped)) if *open == point => {
                *parts += row.parts;
                *dropped += lost;
                cells.as_mut().iter_mut().zip(&row.cells).for_each(|(sum, more)| sum.add(more));
            }
            _ => {
                self.close(kind, intervals);
                self.open = Some((point, row.parts, row.cells[..].into(), lost));
            }
        }
        if self.parts == 0 {
            self.total = row.cells[..].into();
            self.extras.iter_mut().zip(&row.extras).for_each(|(extra, first)| *extra = *first);
        } else {
            let sums = self.total.as_mut().iter_mut();
            sums.zip(&row.cells).for_each(|(sum, more)| sum.add(more));
            for ((sum, more), extra) in self.extras.iter_mut().zip(&row.extras).zip(kind.extras) {
                *sum = if extra.is_sum { *sum + more } else { (*sum).max(*more) };
            }
        }
        self.parts += row.parts;
    }

    /// Ends the point that is being read.
    pub(super) fn close(&mut self, kind: &Kind, intervals: Option<&[u32]>) {
        let Some((point, parts, mut cells, dropped)) = self.open.take() else { return };
        if intervals.and_then(|all| all.get(point)).is_some_and(|all| parts < *all) {
            no_least(cells.as_mut());
        }
        self.series.push(point, &cells);
        if kind.extras.len() > 1 {
            self.dropped.push(dropped);
        }
    }
}

/// Sets the least rates to 0, for a time without traffic.
pub(super) fn no_least(cells: &mut [Cell]) {
    cells.iter_mut().for_each(|cell| cell.least = 0);
}
