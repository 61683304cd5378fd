//! Which rows a question asks for: by the addresses of hosts, and by their numbers in the tables.

use super::kind::{HOST_PARTS, Key, Kind, Stored};
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

/// The same by the numbers of hosts.
pub(super) enum Wanted {
    All,
    One(Stored),
    Services { host: Option<i64>, service: Option<i64> },
}

impl Meant {
    pub(super) fn wanted(&self, kind: &Kind, numbers: &Numbers<'_>) -> rusqlite::Result<Wanted> {
        Ok(match self {
            Meant::All => Wanted::All,
            Meant::One(key) => Wanted::One(numbers.stored(kind, key)?),
            Meant::Services { host, service } => {
                let host = host.map(|host| numbers.number(host)).transpose()?;
                Wanted::Services { host, service: *service }
            }
        })
    }
}

impl Wanted {
    pub(super) fn only(&self) -> Only<'_> {
        match self {
            Wanted::All => Only::All,
            Wanted::One(key) => Only::Keys(std::slice::from_ref(key)),
            Wanted::Services { host, service } => Only::Services { host: *host, service: *service },
        }
    }
}
