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
//! Claims are evidence, never keys. Those of a host count only for its own address, where the
//! protocol lets a host speak of itself (mDNS, LLMNR, NetBIOS).
//!
//! To add a dissector: a file here with its function and tests, an entry in [`DISSECTORS`], a line
//! in `hostile.rs` (docs/ARCHITECTURE.md has an example).

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
