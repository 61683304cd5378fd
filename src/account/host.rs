//! The row of one host.

use super::ledger::{Ledger, Row};
use super::table::Table;
use super::volume::{InOut, Split};
use crate::decode::{Addr, Mac, PacketRecord};

/// The hosts. Those that were folded are in "other".
pub(super) type Hosts = Ledger<Table<Addr, Host>, InOut, 2>;

/// The row of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) traffic: Split<InOut>,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) mac: Mac,
    pub(super) local: bool,
    /// How many hosts had been evicted when it got its slot: differs between successive hosts of
    /// one slot. (64 bits: 32 would wrap after some hours of a scan.)
    pub(super) generation: u64,
}

impl Row for Host {
    type Count = InOut;

    fn counter(&self) -> &Split<InOut> {
        &self.traffic
    }

    fn counter_mut(&mut self) -> &mut Split<InOut> {
        &mut self.traffic
    }
}

impl Host {
    /// Learns the MAC that sent a packet of this host. Only for local hosts: the MAC in front of a
    /// remote address is the router's.
    #[inline]
    pub(super) fn learn_mac(&mut self, record: &PacketRecord) {
        if record.shows_mac() {
            self.mac = record.source_mac();
        }
    }
}
