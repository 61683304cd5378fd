//! Finds the busiest of any number of rows in bounded memory.
//!
//! Theory of operation. If the rows fit ([`ROWS`]), one pass over what is stored adds them all up.
//! Otherwise a pass adds up groups of rows, by a hash of their keys: no row has more than its
//! group. The next pass adds up the rows of the greatest groups, as many as fit. If the last of the
//! busiest rows found has more than the greatest group that was left out, no other row can be among
//! them; otherwise the next groups follow. Traffic is never so even that this takes more than a few
//! passes. SQLite would sort in a file as large as the rows, on the card.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::kind::Stored;

/// Rows that are added up at a time: 1.1 MB with their table.
const ROWS: usize = 28_000;
/// Groups: 1 MB.
const GROUPS: usize = 1 << 17;

/// The busiest rows.
pub(super) struct Busiest {
    /// Bytes and keys, busiest first, ties by key.
    pub(super) rows: Vec<(u64, Stored)>,
    /// The number of all rows; beyond [`ROWS`] an estimate, within some percent.
    pub(super) count: usize,
}

/// Finds the `top` busiest rows. `scan` calls its argument with the key and bytes of every part of
/// every row.
pub(super) fn busiest<E>(
    top: usize,
    scan: impl FnMut(&mut dyn FnMut(Stored, u64)) -> Result<(), E>,
) -> Result<Busiest, E> {
    busiest_of(top, (ROWS, GROUPS), scan)
}

fn busiest_of<E>(
    top: usize,
    (room, groups): (usize, usize),
    mut scan: impl FnMut(&mut dyn FnMut(Stored, u64)) -> Result<(), E>,
) -> Result<Busiest, E> {
    let mut sums = Sums::new(room);
    scan(&mut |key, bytes| sums.add(key, bytes))?;
    if !sums.is_full {
        let count = sums.rows.len();
        return Ok(Busiest { rows: sums.busiest(Vec::new(), top), count });
    }
    drop(sums);
    let hasher = RandomState::new();
    let group = |key: &Stored| hasher.hash_one(key) as usize % groups;
    let mut totals = vec![0_u64; groups];
    scan(&mut |key, bytes| {
        // A row without bytes counts as a row.
        let total = &mut totals[group(&key)];
        *total = total.saturating_add(bytes.max(1));
    })?;
    let count = distinct(&totals);
    let mut rows = Vec::new();
    // Greatest first; ties by number, as more groups may be equal than there is room for.
    let rank = |group: usize| (Reverse(totals[group]), group);
    let mut order: Vec<u32> =
        (0..groups as u32).filter(|group| totals[*group as usize] > 0).collect();
    let mut share = (room / 2 / (count / groups + 1)).max(1);
    while !order.is_empty() {
        let at = share.min(order.len()) - 1;
        let (greatest, last, rest) =
            order.select_nth_unstable_by_key(at, |group| rank(*group as usize));
        let first = greatest.iter().copied().chain([*last]).map(|group| rank(group as usize)).min();
        let span = first.unwrap_or(rank(*last as usize))..=rank(*last as usize);
        let next = rest.iter().map(|group| totals[*group as usize]).max();
        let mut sums = Sums::new(room);
        scan(&mut |key, bytes| {
            if span.contains(&rank(group(&key))) {
                sums.add(key, bytes);
            }
        })?;
        if sums.is_full && share > 1 {
            // More rows in a group than expected.
            share /= 2;
            continue;
        }
        rows = sums.busiest(rows, top);
        let last = rows.get(top.wrapping_sub(1)).map_or(0, |(bytes, _)| *bytes);
        if next.is_none_or(|next| last > next) {
            break;
        }
        order.drain(..=at);
    }
    Ok(Busiest { rows, count })
}

/// Estimates the number of rows from the number of empty groups (linear counting).
fn distinct(totals: &[u64]) -> usize {
    let groups = totals.len() as f64;
    let empty = totals.iter().filter(|total| **total == 0).count().max(1) as f64;
    (groups * ln(groups / empty)).round() as usize
}

/// The natural logarithm of a number from 1 on, to nine digits: halved until it is below 2, then
/// the series of artanh((x - 1) / (x + 1)). `f64::ln` would be the only call into the
/// mathematics library, which takes 300 kB of resident memory.
fn ln(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x >= 2.0 {
        x /= 2.0;
        sum += std::f64::consts::LN_2;
    }
    let z = (x - 1.0) / (x + 1.0);
    let (mut power, square) = (z, z * z);
    for odd in (1..20).step_by(2) {
        sum += 2.0 * power / f64::from(odd);
        power *= square;
    }
    sum
}

struct Sums {
    rows: HashMap<Stored, u64>,
    room: usize,
    /// Whether there were more rows than fit.
    is_full: bool,
}

impl Sums {
    fn new(room: usize) -> Sums {
        Sums { rows: HashMap::new(), room, is_full: false }
    }

    fn add(&mut self, key: Stored, bytes: u64) {
        if self.is_full {
            return;
        }
        let sum = self.rows.entry(key).or_default();
        *sum = sum.saturating_add(bytes);
        if self.rows.len() > self.room {
            self.is_full = true;
            self.rows = HashMap::new();
        }
    }

    /// The busiest of these rows and those known before.
    fn busiest(self, before: Vec<(u64, Stored)>, top: usize) -> Vec<(u64, Stored)> {
        let order = |(bytes, key): &(u64, Stored)| (Reverse(*bytes), *key);
        let mut rows = before;
        rows.reserve_exact(self.rows.len());
        rows.extend(self.rows.into_iter().map(|(key, bytes)| (bytes, key)));
        if rows.len() > top {
            if top > 0 {
                rows.select_nth_unstable_by_key(top - 1, order);
            }
            rows.truncate(top);
            rows.shrink_to_fit();
        }
        rows.sort_unstable_by_key(order);
        rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All rows by a plain sort.
    fn plain(parts: &[(i64, u64)], top: usize) -> Vec<(u64, Stored)> {
        let mut sums: HashMap<Stored, u64> = HashMap::new();
        parts.iter().for_each(|(key, bytes)| *sums.entry([*key, 0, 0]).or_default() += bytes);
        let mut rows: Vec<(u64, Stored)> =
            sums.into_iter().map(|(key, bytes)| (bytes, key)).collect();
        rows.sort_by_key(|(bytes, key)| (Reverse(*bytes), *key));
        rows.truncate(top);
        rows
    }

    fn found(parts: &[(i64, u64)], top: usize, sizes: (usize, usize)) -> (Busiest, usize) {
        let mut passes = 0;
        let busiest = busiest_of(top, sizes, |take| {
            passes += 1;
            parts.iter().for_each(|(key, bytes)| take([*key, 0, 0], *bytes));
            Ok::<_, ()>(())
        });
        (busiest.unwrap(), passes)
    }

    #[test]
    fn many_rows_take_a_few_passes() {
        // Row n has 1/n of the bytes of row 1: as uneven as traffic is.
        let parts: Vec<(i64, u64)> =
            (1..200_000_i64).map(|n| (n, 1_000_000_000 / n.cast_unsigned())).collect();
        let (busiest, passes) = found(&parts, 20, (ROWS, GROUPS));
        assert_eq!(busiest.rows, plain(&parts, 20));
        assert_eq!(passes, 3);
        assert!(busiest.count.abs_diff(199_999) < 6_000, "{}", busiest.count);
    }

    proptest! {
        #[test]
        fn the_busiest_are_those_of_a_plain_sort(
            parts in prop::collection::vec((0_i64..300, 0_u64..50), 0..600),
            top in 0_usize..40,
            room in 5_usize..400,
            groups in 1_usize..200,
        ) {
            let (busiest, _) = found(&parts, top, (room, groups));
            let plain = plain(&parts, top);
            // With too few groups, the rows of one may not fit.
            if groups * room >= 40 * 300 || room >= 300 {
                prop_assert_eq!(&busiest.rows, &plain);
            }
            prop_assert!(busiest.rows.len() <= top);
        }
    }
}
