//! Which rows a question asks for, by the addresses of hosts.

use super::kind::{HOST_PARTS, Key, Kind};
use super::numbers::Numbers;
use super::scan::Only;

/// The rows that are asked for.
pub(super) enum Meant {
    /// All of the kind.
    All,
    /// One.
    One(Key),
    /// The services of a host, the hosts of a service, or one service of one host.
    Services { host: Option<[i64; HOST_PARTS]>, service: Option<i64> },
}

impl Meant {
    /// The same by the numbers of hosts.
    ///
    /// # Errors
    /// An error of SQLite.
    pub(super) fn only(
        &self,
        kind: &Kind,
        numbers: &Numbers<'_>,
    ) -> rusqlite::Result<Only<'static>> {
        Ok(match self {
            Meant::All => Only::All,
            Meant::One(key) => Only::Keys(vec![numbers.stored(kind, key)?].into()),
            Meant::Services { host, service } => {
                let host = host.map(|host| numbers.number(host)).transpose()?;
                Only::Services { host, service: *service }
            }
        })
    }
}
