//! What is known of one host.

use super::volume::{InOut, Split};
use crate::decode::{Mac, PacketRecord};

/// What is known of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) traffic: Split<InOut>,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) mac: Mac,
    pub(super) local: bool,
    /// How many hosts had been folded when it had got its slot: it differs between the hosts
    /// that have one slot. (64 bits: 32 would go round after some hours of a scan.)
    pub(super) generation: u64,
}

impl Host {
    /// Notes the MAC that sent a packet of this host. Only for local ones: the MAC in front
    /// of a remote address is the router's.
    #[inline]
    pub(super) fn learn_mac(&mut self, record: &PacketRecord) {
        if record.shows_mac() {
            self.mac = record.source_mac();
        }
    }
}
