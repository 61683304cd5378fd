//! Who is who, learned by listening: dissectors turn packets into [`Claim`]s, evidence of names and
//! addresses.
//!
//! Theory of operation. [`locate`] finds the outermost IP or ARP header of a frame and what it
//! carries. [`DISSECTORS`] is a table: each entry says which packets it wants and has a pure
//! function that reads one payload. What is spread over several packets (a TLS hello, a QUIC
//! Initial, DNS over TCP) is put together by [`streams`] first. Whatever the bytes are, a dissector
//! does not panic, and what it makes is bounded: names are valid UTF-8 without control characters,
//! 255 bytes at most ([`Name`]).
//!
//! Claims are evidence, never keys. A dissector claims all that a message says, and a report of a
//! capture file lists it. Where the protocol lets a host speak of itself (mDNS, LLMNR, NetBIOS), who
//! judges devices must compare the address with that of the packet: a host counts only for itself.
//!
//! docs/names.md has the sources of names, the bounds, and how to add a dissector.

pub mod arp;
pub mod book;
mod bytes;
pub mod cdp;
pub mod claim;
pub mod dhcp;
pub mod dhcp6;
pub mod dns;
#[cfg(test)]
pub(crate) mod frames;
pub mod hello;
pub mod http;
pub mod listener;
pub mod lldp;
pub mod locate;
pub mod nbdgm;
pub mod nbns;
pub mod ndp;
pub mod quic;
#[cfg(test)]
mod samples;
pub mod ssdp;
pub mod streams;
pub mod tls;

pub use book::Book;
pub use claim::{Claim, Name, Source};
pub use listener::{DISSECTORS, Listener, wants};
