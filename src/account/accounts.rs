//! All counters of one run, and their settings from outside. `count` adds frames to them, `close`
//! closes their intervals.

use ipnet::IpNet;

use super::flows::{Flows, Seed};
use super::fragments::Fragments;
use super::host::Hosts;
use super::interface::{Drops, Interface, KernelErrors};
use super::ledger::Ledger;
use super::local::LocalNetworks;
use super::ports::{PortTable, Ports};
use super::protocol_counts::Protocols;
use super::protocols::CLASSES;
use super::services::Services;
use super::table::Table;
use super::volume::Volume;
use crate::decode::{Mac, NO_TIME};

/// Hosts with their own row by default; the rest is in "other".
pub const DEFAULT_HOST_LIMIT: usize = 32_768;

/// All counters of one run.
pub struct Accounts {
    pub(super) interfaces: Vec<Interface>,
    pub(super) hosts: Hosts,
    pub(super) ports: Ports,
    pub(super) protocols: Protocols,
    pub(super) fragments: Fragments,
    pub(super) local: LocalNetworks,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) flows: Flows,
    pub(super) services: Services,
    /// Fine intervals closed within the open base interval.
    pub(super) fine_intervals: u32,
    /// Packets by class when the open second began.
    pub(super) classes_at_second: [u64; CLASSES],
    /// How often the local networks changed, and the rows of hosts with them.
    pub(super) local_changes: u64,
}

impl Accounts {
    /// Empty counters with rows for at most `host_limit` hosts.
    pub fn new(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts::seeded(host_limit, local, Seed::random())
    }

    /// As [`Accounts::new`], for capture files: the seed is fixed, so the same files give the same
    /// counts, to the last retransmission.
    pub fn of_files(host_limit: usize, local: LocalNetworks) -> Accounts {
        Accounts::seeded(host_limit, local, Seed::fixed())
    }

    fn seeded(host_limit: usize, local: LocalNetworks, seed: Seed) -> Accounts {
        Accounts {
            interfaces: Vec::new(),
            hosts: Ledger::new(Table::new(host_limit)),
            ports: Ledger::new(PortTable::new()),
            protocols: Protocols::new(),
            fragments: Fragments::new(),
            local,
            first: NO_TIME,
            last: NO_TIME,
            flows: Flows::new(seed),
            services: Services::new(),
            fine_intervals: 0,
            classes_at_second: [0; CLASSES],
            local_changes: 0,
        }
    }

    /// Adds an interface, or finds the one with that name; returns its number.
    pub fn interface(&mut self, name: &str, link_type: &str) -> usize {
        if let Some(at) = self.interfaces.iter().position(|i| i.name == name) {
            self.set_link_type(at, link_type);
            return at;
        }
        self.interfaces.push(Interface::new(name, link_type));
        self.interfaces.len() - 1
    }

    /// Adds to the service rows the flows' packets since the last call. Call it about once a
    /// second: a flow evicted before may be in no row.
    pub fn gather(&mut self) {
        let frames = self.interfaces.iter().map(|i| i.total().packets).sum();
        self.services.gather(frames, &mut self.flows, &self.hosts.rows);
    }

    /// Sets the drop counters of an interface: totals since the start.
    pub fn set_drops(&mut self, interface: usize, drops: Drops) {
        self.interfaces[interface].drops = drops;
    }

    /// Sets whether an interface is being captured, and the kernel's own error counters.
    pub fn set_state(&mut self, interface: usize, is_capturing: bool, kernel: KernelErrors) {
        self.interfaces[interface].is_capturing = is_capturing;
        self.interfaces[interface].kernel = kernel;
    }

    /// Sets whether an interface is to be captured. While it is not, it is not capturing.
    pub fn set_watched(&mut self, interface: usize, is_watched: bool) {
        self.interfaces[interface].is_watched = is_watched;
        self.interfaces[interface].is_capturing &= is_watched;
    }

    /// Adds captured time, in milliseconds, to an interface's open intervals.
    pub fn cover(&mut self, interface: usize, milliseconds: u64) {
        self.interfaces[interface].covered += milliseconds;
    }

    /// Sets the link type of an interface, libpcap's name; empty means not known yet.
    pub fn set_link_type(&mut self, interface: usize, link_type: &str) {
        let known = &mut self.interfaces[interface].link_type;
        if !link_type.is_empty() && known != link_type {
            link_type.clone_into(known);
        }
    }

    /// Changes the local networks, for known hosts too.
    pub fn set_local(&mut self, local: LocalNetworks) {
        for (address, host) in self.hosts.rows.iter_mut() {
            host.local = local.has(address);
            if !host.local {
                host.mac = Mac::default();
            }
        }
        self.gather();
        self.flows.clear();
        self.local = local;
        self.local_changes += 1;
    }

    /// Frames counted so far, and their captured bytes.
    pub fn captured(&self) -> Volume {
        let packets = self.interfaces.iter().map(|i| i.total().packets).sum();
        Volume { packets, bytes: self.interfaces.iter().map(|i| i.captured_bytes).sum() }
    }

    /// The local networks.
    pub fn local(&self) -> &LocalNetworks {
        &self.local
    }

    /// The prefixes of the local networks.
    pub fn local_prefixes(&self) -> &[IpNet] {
        self.local.prefixes()
    }
}
