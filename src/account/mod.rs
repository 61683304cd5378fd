//! The counters. The worker thread owns them. This room knows no thread, no clock and no disk, so
//! that tests can feed it records.
//!
//! The rules: interface totals count every frame by wire length, and everything else is a split of
//! them. An IP packet adds its frame's wire length to "sent" of its source and "received" of its
//! destination. In every split, rows + other + none = total, to the byte: *other* holds the rows
//! that a bounded table folded, *none* the frames without such a thing (an ARP frame has no port).
//!
//! - `accounts`: all counters, and their settings from outside; `count`: the hot path.
//! - `host`, `interface`, `ports`, `protocols` and `protocol_counts`, `services`: the
//!   counters of each.
//! - `ledger`: the generic table of rows, "other" and the totals at the last close, over a `table`
//!   (over an `index`) where there may be many rows.
//! - `flows` and `fragments`: caches of fixed size. They find retransmissions, services and
//!   overlapping fragments.
//! - `close`: closes intervals, with `rates`, the least and the greatest within them.
//! - `interval` and `snapshot` (of `shared` tables): the data for the store and for the web.

mod accounts;
mod close;
mod count;
mod flows;
mod fragments;
mod host;
mod index;
mod interface;
mod interval;
mod ledger;
mod local;
mod ports;
mod protocol_counts;
mod protocols;
mod rates;
mod services;
mod shared;
mod snapshot;
mod table;
mod volume;

pub use accounts::{Accounts, DEFAULT_HOST_LIMIT};
pub use interface::{Drops, ErrorKind, KernelErrors};
pub use interval::{
    ClosedInterval, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol,
    IntervalService,
};
pub use local::{Direction, LocalNetworks};
pub use ports::{PortKey, Service, Transport};
pub use protocols::{CLASSES, class_of, protocol_name};
pub use rates::Rates;
pub use services::ServiceRow;
pub use shared::Shared;
pub use snapshot::{Busiest, HostRow, InterfaceRow, PortRow, ProtocolRow, Second, Snapshot};
pub use volume::{InOut, Split, Volume};

#[cfg(test)]
mod tests;
