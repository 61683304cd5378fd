//! The rows of one table of a snapshot. As long as nothing has changed, the next snapshot holds the
//! same rows and copies nothing. The worker makes them; web threads read them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The rows of one table at some time. A clone shares them.
#[derive(Clone)]
pub struct Shared<T> {
    rows: Arc<Vec<T>>,
    /// Increases whenever the rows change, within one [`super::Accounts`].
    generation: u64,
}

impl<T> Shared<T> {
    /// These rows, if they are still of this generation, else those that `make` returns.
    pub fn next(&self, generation: u64, make: impl FnOnce() -> Vec<T>) -> Shared<T> {
        if self.generation == generation {
            return Shared { rows: Arc::clone(&self.rows), generation };
        }
        Shared { rows: Arc::new(make()), generation }
    }
}

impl<T: PartialEq> Shared<T> {
    /// These rows, if they equal the `latest`, else the `latest`. For tables of few rows, of which
    /// nothing else tells whether they changed.
    pub fn next_if_changed(&self, latest: Vec<T>) -> Shared<T> {
        let generation = self.generation + u64::from(*self.rows != latest);
        self.next(generation, || latest)
    }
}

/// No rows: generation 0.
impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared { rows: Arc::default(), generation: 0 }
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(rows: Vec<T>) -> Shared<T> {
        Shared { rows: Arc::new(rows), generation: 0 }
    }
}

impl<T> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.rows
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.fmt(f)
    }
}

impl<'a, T> IntoIterator for &'a Shared<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}
