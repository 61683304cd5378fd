//! The kinds of rows in the history, as data: tables, statements, sums and answers are all made
//! from these descriptions, so that one piece of code serves every kind.

use std::net::{IpAddr, Ipv6Addr};

use crate::account::{Service, Transport, protocol_name};
use crate::decode::Addr;

/// The most parts that a key has: two hosts and a service.
pub const PARTS: usize = 2 * HOST_PARTS + 1;
/// The parts of a host in a key: `family`, `high` and `low`.
pub const HOST_PARTS: usize = 3;

/// The key of a row in memory: its parts as [`Kind::keys`] names them; unused ones are 0.
pub type Key = [i64; PARTS];

/// The key of a row in its table: a number (`host.id`) in place of each of its [`Kind::hosts`],
/// then the other parts as in the [`Key`]; unused ones are 0.
///
/// Rows of a host and something else have a number: the address is stored once, and two hosts and a
/// service fit. The rows of hosts themselves keep the address. Most addresses of a home are remote
/// and come once, with some rows each. With numbers in all rows the file of a year, as it grows, was
/// 52 MB instead of 40 (packed, it was 3 % smaller), and up to 119 MB instead of 22 were written in
/// a day: each new address costs two pages at random places, and again when it is forgotten.
pub type Stored = [i64; 3];

/// A key of these parts.
pub fn key_of<const N: usize>(parts: [i64; N]) -> Key {
    const { assert!(N <= PARTS) };
    let mut key = [0; PARTS];
    key[..N].copy_from_slice(&parts);
    key
}

/// One kind of row.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its place in [`KINDS`].
    pub at: usize,
    /// Its name: `host` has the view `v_host`.
    pub name: &'static str,
    /// Its plural: `hosts`.
    pub plural: &'static str,
    /// The hosts with which its key begins and which have numbers in tables; each has
    /// [`HOST_PARTS`] parts. See [`Stored`] for why a host's own rows are not among them.
    pub hosts: usize,
    /// The parts of its key.
    pub keys: &'static [&'static str],
    /// Its separate counters, by the suffixes of their names in views and answers.
    pub ways: &'static [&'static str],
    /// Further numbers.
    pub extras: &'static [Extra],
    /// Whether it has a row for [`OTHER`]: what a bounded table could not name.
    pub has_other: bool,
    /// Whether it has a row for [`NONE`]: frames without such a thing.
    pub has_none: bool,
}

/// A number that is not traffic.
#[derive(Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its name.
    pub name: &'static str,
    /// Whether values are added up; otherwise the greatest is kept.
    pub is_sum: bool,
}

/// Interfaces, by direction.
pub static INTERFACE: Kind = Kind {
    at: 0,
    name: "interface",
    plural: "interfaces",
    hosts: 0,
    keys: &["interface"],
    ways: &["_in", "_out", "_internal", "_transit", "_none"],
    // Milliseconds in which it was captured, and frames lost.
    extras: &[Extra { name: "covered", is_sum: true }, Extra { name: "dropped", is_sum: true }],
    has_other: false,
    has_none: false,
};

/// Hosts: the address as two halves of an IPv6 address, IPv4 in the lower one.
pub static HOST: Kind = Kind {
    at: 1,
    name: "host",
    plural: "hosts",
    hosts: 0,
    keys: &["family", "high", "low"],
    ways: &["_in", "_out"],
    extras: &[Extra { name: "local", is_sum: false }],
    has_other: true,
    has_none: true,
};

/// Devices: a local hardware address with all its hosts. Filled by a later version.
pub static DEVICE: Kind = Kind {
    at: 2,
    name: "device",
    plural: "devices",
    hosts: 0,
    keys: &["device"],
    ways: &["_in", "_out"],
    extras: &[],
    has_other: true,
    has_none: true,
};

/// Service ports: IP protocol number * 65536 + port.
pub static PORT: Kind = Kind {
    at: 3,
    name: "port",
    plural: "ports",
    hosts: 0,
    keys: &["port"],
    ways: &[""],
    extras: &[],
    has_other: true,
    has_none: true,
};

/// IP protocols, by number; 256 is "not known". None is ever folded.
pub static PROTOCOL: Kind = Kind {
    at: 4,
    name: "protocol",
    plural: "protocols",
    hosts: 0,
    keys: &["protocol"],
    ways: &[""],
    extras: &[],
    has_other: false,
    has_none: true,
};

/// Services of hosts: a host, and a service as [`service_key`] has it. There is no "other" row: the
/// rest of a host's traffic is the difference to its row in [`HOST`].
pub static SERVICE: Kind = Kind {
    at: 5,
    name: "service",
    plural: "services",
    hosts: 1,
    keys: &["family", "high", "low", "service"],
    ways: &["_in", "_out"],
    extras: &[Extra { name: "local", is_sum: false }],
    has_other: false,
    has_none: false,
};

/// All kinds.
pub static KINDS: [&Kind; 6] = [&INTERFACE, &HOST, &DEVICE, &PORT, &PROTOCOL, &SERVICE];

/// In the first part of a key: "other".
pub const OTHER: i64 = 0;
/// In the first part of a key: "none".
pub const NONE: i64 = -1;

impl Kind {
    /// The kind of that name, in singular or plural.
    pub fn named(name: &str) -> Option<&'static Kind> {
        KINDS.into_iter().find(|kind| kind.name == name || kind.plural == name)
    }

    /// Whether its rows share a table with those of other kinds.
    ///
    /// All but interfaces do, which have more columns. A table that grows at one end and shrinks at
    /// the other costs some page writes at each commit, however little it holds.
    fn is_shared(&self) -> bool {
        *self != INTERFACE
    }

    /// Its table for the tier whose intervals have this length, such as `traffic_60`.
    ///
    /// Each tier has its own tables, so that new rows of a fine tier come at the end: SQLite fills
    /// pages that grow there, and splits others in halves.
    pub fn table(&self, seconds: i64) -> String {
        let name = if self.is_shared() { "traffic" } else { self.name };
        format!("{name}_{seconds}")
    }

    /// The WHERE condition for its rows: `1`, or one such as `kind = 3`.
    pub fn condition(&self) -> String {
        if self.is_shared() { format!("kind = {}", self.at) } else { "1".to_owned() }
    }

    /// A WHERE condition that is true of all rows of its table. It names the kinds, which come
    /// first in the key of coarse tiers.
    pub fn any(&self) -> String {
        if !self.is_shared() {
            return "1".to_owned();
        }
        let kinds: Vec<String> =
            KINDS.iter().filter(|kind| kind.is_shared()).map(|kind| kind.at.to_string()).collect();
        format!("kind IN ({})", kinds.join(", "))
    }

    /// The columns of its key in its table.
    pub fn key_columns(&self) -> &'static [&'static str] {
        let length = self.keys.len() - self.hosts * (HOST_PARTS - 1);
        if self.is_shared() { &SHARED_KEYS[..length] } else { self.keys }
    }

    /// The FROM clause for its rows of a tier: its table, and the hosts that have numbers in it.
    pub fn source(&self, seconds: i64) -> String {
        // Left joins: SQLite begins with the rows, and one of "other" has no host.
        let hosts = (1..=self.hosts).map(|n| format!(" LEFT JOIN host h{n} ON h{n}.id = k{n}"));
        hosts.fold(self.table(seconds), |source, host| source + &host)
    }

    /// The suffixes of the columns of its ways in its table.
    pub fn endings(&self) -> &'static [&'static str] {
        let shared: &[&str] = &["_in", "_out"];
        if self.is_shared() { &shared[..self.ways.len()] } else { self.ways }
    }

    /// The columns of its extras in its table.
    pub fn extra_columns(&self) -> Vec<&'static str> {
        self.extras
            .iter()
            .map(|extra| if self.is_shared() { "extra" } else { extra.name })
            .collect()
    }

    /// Its own columns of its table, after start: keys, cells, extras.
    pub fn columns(&self) -> Vec<String> {
        let keys = self.key_columns().iter().map(|&key| key.to_owned());
        keys.chain(self.values()).collect()
    }

    /// The same in [`Kind::source`], with the whole key.
    pub fn parts(&self) -> Vec<String> {
        // Should a number have no host, which cannot be, the row is one of "other".
        let host = |n| {
            [format!("coalesce(h{n}.family, min(k{n}, 0))")]
                .into_iter()
                .chain(["high", "low"].map(|part| format!("coalesce(h{n}.{part}, 0)")))
        };
        let others = self.key_columns()[self.hosts..].iter().map(|&key| key.to_owned());
        (1..=self.hosts).flat_map(host).chain(others).chain(self.values()).collect()
    }

    /// The columns of its cells and extras in its table.
    pub fn values(&self) -> impl Iterator<Item = String> {
        let cells = self.endings().iter().flat_map(|way| {
            ["packets", "bytes", "least", "greatest"].map(|column| format!("{column}{way}"))
        });
        cells.chain(self.extra_columns().into_iter().map(str::to_owned))
    }

    /// All tables of the tier whose intervals have this length.
    pub fn tables(seconds: i64) -> [String; 2] {
        [INTERFACE.table(seconds), HOST.table(seconds)]
    }

    /// Whether this is the first part of the key of "other" or of "none", in memory or stored.
    pub fn is_rest(&self, first: i64) -> bool {
        self.has_other && first == OTHER || self.is_none(first)
    }

    /// Whether this is the first part of the key of "none".
    pub fn is_none(&self, first: i64) -> bool {
        self.has_none && first == NONE
    }
}

/// The columns of keys in the table that kinds share.
pub const SHARED_KEYS: [&str; 3] = ["k1", "k2", "k3"];

/// The key of a host. An IPv4 address is in the lower half, as a signed number of 32 bits: that
/// takes four bytes in a row.
pub fn host_key(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(address) => key_of([4, 0, i64::from(u32::from(address).cast_signed())]),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            key_of([6, ((bits >> 64) as u64).cast_signed(), (bits as u64).cast_signed()])
        }
    }
}

/// The key of a host, from its address in the counters.
pub fn addr_key(address: &Addr) -> Key {
    host_key(address.ip())
}

/// The address of a host's key; `None` for "other" and "none".
pub fn key_address(key: &Key) -> Option<IpAddr> {
    match key[0] {
        4 => Some(IpAddr::from((key[2] as u32).to_be_bytes())),
        6 => {
            let bits =
                u128::from(key[1].cast_unsigned()) << 64 | u128::from(key[2].cast_unsigned());
            Some(IpAddr::V6(Ipv6Addr::from(bits)))
        }
        _ => None,
    }
}

/// The key of a service port.
pub fn port_key(transport: Transport, port: u16) -> Key {
    key_of([i64::from(transport.number()) << 16 | i64::from(port)])
}

/// The number of a service: a port as in [`port_key`]; an IP protocol N without ports is -1 - N.
pub fn service_key(service: Service) -> i64 {
    match service {
        Service::Port(key) => port_key(key.transport, key.port)[0],
        Service::Protocol(number) => -1 - i64::from(number),
    }
}

/// The protocol's name, and the port if there is one, of a service's number.
pub fn key_service(service: i64) -> Option<(String, Option<u16>)> {
    match u16::try_from(-1 - service) {
        Ok(number) => Some((protocol_name(number), None)),
        Err(_) => key_port(&key_of([service])).map(|(name, port)| (name.to_owned(), Some(port))),
    }
}

/// The transport's name and the port of a port's key; `None` for "other" and "none".
pub fn key_port(key: &Key) -> Option<(&'static str, u16)> {
    let transport = Transport::numbered(u8::try_from(key[0] >> 16).ok()?)?;
    Some((transport.name(), (key[0] & 0xffff) as u16))
}

/// The name of a protocol's key.
pub fn key_protocol(key: &Key) -> Option<String> {
    u16::try_from(key[0]).ok().map(protocol_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::PortKey;

    #[test]
    fn addresses_survive_the_way_to_a_key_and_back() {
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "2001:db8::ff",
            "fe80::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(key_address(&host_key(address)), Some(address));
        }
        assert_ne!(host_key("0.0.0.1".parse().unwrap()), host_key("::1".parse().unwrap()));
        for transport in Transport::ALL {
            assert_eq!(key_port(&port_key(transport, 65_535)), Some((transport.name(), 65_535)));
        }
        assert_eq!(key_port(&key_of([1 << 16])), None);
        assert_eq!(key_port(&key_of([256 << 16])), None);
        assert_eq!(key_port(&key_of([OTHER])), None);
    }

    #[test]
    fn every_service_has_a_number_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for transport in Transport::ALL {
            for port in [0, 1, 443, u16::MAX] {
                let number = service_key(Service::Port(PortKey { transport, port }));
                assert_eq!(key_service(number), Some((transport.name().to_owned(), Some(port))));
                assert!(seen.insert(number));
            }
        }
        for number in 0..=256 {
            let service = service_key(Service::Protocol(number));
            assert_eq!(key_service(service), Some((protocol_name(number), None)));
            assert!(seen.insert(service));
        }
    }
}
