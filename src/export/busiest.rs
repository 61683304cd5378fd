//! The rows that a table shows, and those that it adds up as "other".

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::account::{HostRow, PortRow};

/// Splits rows into the busiest `top` (0: all), sorted, and the others, unsorted. `key` returns the
/// bytes and a tie-breaker.
pub fn busiest<T>(rows: &[T], top: usize, key: impl Fn(&T) -> (u64, u128)) -> (Vec<&T>, Vec<&T>) {
    let all = if top == 0 { rows.len() } else { top };
    let best = first(&mut rows.iter().map(key), rows.len(), all);
    let mut is_best = best.clone();
    is_best.sort_unstable();
    let rest = rows.iter().enumerate().filter(|(at, _)| is_best.binary_search(at).is_err());
    let rest =
        if best.len() < rows.len() { rest.map(|(_, row)| row).collect() } else { Vec::new() };
    (best.iter().map(|at| &rows[*at]).collect(), rest)
}

/// The indices of the first `top` keys, sorted. Not generic: sorting is a lot of code, and one copy
/// of it serves all tables.
fn first(keys: &mut dyn Iterator<Item = (u64, u128)>, count: usize, top: usize) -> Vec<usize> {
    let mut keys = keys.enumerate().map(|(at, (bytes, tie))| (Reverse(bytes), tie, at));
    let best = if top >= count {
        let mut all: Vec<_> = keys.collect();
        all.sort_unstable();
        all
    } else {
        // No need to sort a million rows to show twenty: the heap holds the best so far with the
        // worst of them on top, and most rows are compared with that one only.
        let mut best: BinaryHeap<_> = keys.by_ref().take(top).collect();
        for candidate in keys {
            if let Some(mut worst) = best.peek_mut()
                && candidate < *worst
            {
                *worst = candidate;
            }
        }
        best.into_sorted_vec()
    };
    best.into_iter().map(|(_, _, at)| at).collect()
}

/// [`busiest`] for hosts.
pub fn busiest_hosts(rows: &[HostRow], top: usize) -> (Vec<&HostRow>, Vec<&HostRow>) {
    busiest(rows, top, |row| (row.traffic.bytes(), row.address.number()))
}

/// [`busiest`] for ports.
pub fn busiest_ports(rows: &[PortRow], top: usize) -> (Vec<&PortRow>, Vec<&PortRow>) {
    busiest(rows, top, |row| {
        (row.volume.bytes, u128::from(row.transport as u8) << 16 | u128::from(row.port))
    })
}
