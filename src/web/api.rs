//! The JSON of the API, made from a snapshot. docs/api-reference.md documents every key.
//!
//! Rows are serialised straight into the text: 1,000 hosts as a tree of values would take more
//! memory than all hosts in the snapshot.

use std::cmp::Reverse;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::account::{
    Direction, Drops, ErrorKind, HostRow, InterfaceRow, PortRow, ProtocolRow, Second, Service,
    ServiceRow, Snapshot, Volume, protocol_name,
};
use crate::capture::undecoded;
use crate::decode::Network;
use crate::export::busiest::{busiest, busiest_hosts, busiest_ports};
use crate::export::report::{HostLine, InOutLine};
use crate::export::time::rfc3339;

/// The requested rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows to skip.
    pub offset: usize,
    /// Rows to show, at least 1.
    pub limit: usize,
}

/// An answer as text. Serialising cannot fail: all keys are strings, and a string accepts anything.
fn text(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

/// Packets and bytes of each direction, as `packets_*` and `bytes_*`.
fn directions_json(of: impl Fn(Direction) -> Volume) -> Map<String, Value> {
    let mut object = Map::new();
    for direction in Direction::ALL {
        let volume = of(direction);
        object.insert(format!("packets_{}", direction.name()), json!(volume.packets));
        object.insert(format!("bytes_{}", direction.name()), json!(volume.bytes));
    }
    object
}

fn rates_json(second: &Second) -> Map<String, Value> {
    let mut object = Map::new();
    let total = second.total();
    object.insert("packets_per_second".into(), json!(total.packets));
    object.insert("bits_per_second".into(), json!(total.bytes * 8));
    for direction in Direction::ALL {
        let volume = second.direction(direction);
        let name = direction.name();
        object.insert(format!("packets_per_second_{name}"), json!(volume.packets));
        object.insert(format!("bits_per_second_{name}"), json!(volume.bytes * 8));
    }
    object
}

#[derive(Serialize)]
struct Live<'a> {
    time: Option<String>,
    age_seconds: u64,
    number: u64,
    rates: Map<String, Value>,
    totals: Map<String, Value>,
    drops: Drops,
    errors: Map<String, Value>,
    seconds: Vec<LiveSecond>,
    interfaces: Vec<Value>,
    hosts: Hosts<'a>,
    ports: Ports,
    protocols: Value,
}

#[derive(Serialize)]
struct LiveSecond {
    start: i64,
    packets: u64,
    bits_in: u64,
    bits_out: u64,
    bits_internal: u64,
    bits_transit: u64,
    bits_none: u64,
}

impl From<&Second> for LiveSecond {
    fn from(second: &Second) -> LiveSecond {
        let bits = |direction| second.direction(direction).bytes * 8;
        LiveSecond {
            start: second.start,
            packets: second.total().packets,
            bits_in: bits(Direction::In),
            bits_out: bits(Direction::Out),
            bits_internal: bits(Direction::Internal),
            bits_transit: bits(Direction::Transit),
            bits_none: bits(Direction::None),
        }
    }
}

/// `GET /api/v1/live`: rates of the last whole second, totals, drops, recent seconds, and the
/// busiest rows of each table.
pub fn live(snapshot: &Snapshot, age: u64, seconds: usize, top: usize) -> String {
    let last = snapshot.seconds.last().copied().unwrap_or_default();
    let skipped = snapshot.seconds.len().saturating_sub(seconds);
    let mut totals = directions_json(|direction| snapshot.direction(direction));
    totals.insert("packets".into(), json!(snapshot.total.packets));
    totals.insert("bytes".into(), json!(snapshot.total.bytes));
    let page = Page { offset: 0, limit: top };
    text(&Live {
        time: rfc3339(snapshot.taken_at),
        age_seconds: age,
        number: snapshot.number,
        rates: rates_json(&last),
        totals,
        drops: snapshot.drops(),
        errors: errors_json(snapshot.errors()),
        seconds: snapshot.seconds[skipped..].iter().map(LiveSecond::from).collect(),
        interfaces: snapshot.interfaces.iter().map(interface_json).collect(),
        hosts: Hosts::busiest(snapshot, top),
        ports: Ports::new(snapshot, page),
        protocols: protocols_json(snapshot),
    })
}

fn errors_json(errors: [u64; ErrorKind::COUNT]) -> Map<String, Value> {
    let names = ErrorKind::NAMES.iter();
    names.zip(errors).map(|(name, count)| ((*name).to_owned(), json!(count))).collect()
}

fn interface_json(i: &InterfaceRow) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), json!(i.name));
    object.insert("link_type".into(), json!(i.link_type));
    object.insert("is_decoded".into(), json!(undecoded(&i.link_type).is_empty()));
    object.insert("is_capturing".into(), json!(i.is_capturing));
    object.insert("is_watched".into(), json!(i.is_watched));
    object.insert("packets".into(), json!(i.total.packets));
    object.insert("bytes".into(), json!(i.total.bytes));
    object.insert("captured_bytes".into(), json!(i.captured_bytes));
    object.extend(directions_json(|direction| i.directions[direction as usize]));
    let ethertypes: Map<String, Value> = Network::ALL
        .iter()
        .map(|n| (n.name().to_owned(), json!(i.ethertypes[*n as usize])))
        .collect();
    object.insert("ethertypes".into(), Value::Object(ethertypes));
    object.insert("errors".into(), Value::Object(errors_json(i.errors)));
    object.insert("drops".into(), json!(i.drops));
    object.insert("kernel".into(), json!(i.kernel));
    Value::Object(object)
}

/// `GET /api/v1/interfaces`.
pub fn interfaces(snapshot: &Snapshot) -> String {
    text(&json!({
        "time": rfc3339(snapshot.taken_at),
        "interfaces": snapshot.interfaces.iter().map(interface_json).collect::<Vec<_>>(),
        "total": snapshot.total,
    }))
}

impl Page {
    /// Rows that must be sorted to show this page.
    fn end(self) -> usize {
        self.offset.saturating_add(self.limit)
    }

    /// Cuts the page out of sorted rows; all other rows join the `rest`.
    fn cut<'a, T>(
        self,
        (mut rows, mut rest): (Vec<&'a T>, Vec<&'a T>),
    ) -> (Vec<&'a T>, Vec<&'a T>) {
        rest.extend(rows.drain(..self.offset.min(rows.len())));
        (rows, rest)
    }
}

/// Busiest first. Rows + other + none = total.
#[derive(Serialize)]
struct Hosts<'a> {
    time: Option<String>,
    count: usize,
    folded: u64,
    hosts: Vec<HostLine<'a>>,
    other: InOutLine,
    none: Volume,
    total: Volume,
}

impl Hosts<'_> {
    fn new(snapshot: &Snapshot, page: Page) -> Hosts<'_> {
        let (rows, rest) = page.cut(busiest_hosts(&snapshot.hosts, page.end()));
        Hosts::of(snapshot, rows, &rest)
    }

    /// The `top` busiest real hosts: multicast groups are in `other`.
    fn busiest(snapshot: &Snapshot, top: usize) -> Hosts<'_> {
        let key = |row: &HostRow| {
            let bytes = if row.group { 0 } else { row.traffic.bytes() };
            (bytes, row.address.number())
        };
        let (rows, mut rest) = busiest(&snapshot.hosts, top, key);
        let (groups, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.group);
        rest.extend(groups);
        Hosts::of(snapshot, rows, &rest)
    }

    fn of<'a>(snapshot: &Snapshot, rows: Vec<&'a HostRow>, rest: &[&HostRow]) -> Hosts<'a> {
        let other = rest.iter().fold(snapshot.other_hosts, |sum, row| sum + row.traffic);
        Hosts {
            time: rfc3339(snapshot.taken_at),
            count: snapshot.hosts.len(),
            folded: snapshot.folded_hosts,
            hosts: rows.into_iter().map(HostLine).collect(),
            other: other.into(),
            none: snapshot.not_ip(),
            total: snapshot.total,
        }
    }
}

/// A host and its services. Services + other services = the host.
#[derive(Serialize)]
struct OneHost<'a> {
    #[serde(flatten)]
    hosts: Hosts<'a>,
    services: Vec<ServiceLine>,
    other_services: InOutLine,
}

#[derive(Serialize)]
struct ServiceLine {
    protocol: String,
    port: Option<u16>,
    #[serde(flatten)]
    traffic: InOutLine,
}

impl From<&ServiceRow> for ServiceLine {
    fn from(row: &ServiceRow) -> ServiceLine {
        let (protocol, port) = match row.service {
            Service::Port(key) => (key.transport.name().to_owned(), Some(key.port)),
            Service::Protocol(number) => (protocol_name(number), None),
        };
        ServiceLine { protocol, port, traffic: row.traffic.into() }
    }
}

/// `GET /api/v1/hosts` with `name`: that host, if it has a row, and its services; everything else
/// is in `other`.
pub fn host(snapshot: &Snapshot, address: IpAddr) -> String {
    let is_it = |row: &&HostRow| row.address.ip() == address;
    let (found, rest): (Vec<&HostRow>, Vec<_>) = snapshot.hosts.iter().partition(is_it);
    let place = snapshot.hosts.iter().position(|row| row.address.ip() == address);
    let mut services: Vec<&ServiceRow> =
        snapshot.services.iter().filter(|row| Some(row.host as usize) == place).collect();
    let order = |row: &ServiceRow| match row.service {
        Service::Port(key) => (u16::from(key.transport.number()), Some(key.port)),
        Service::Protocol(number) => (number, None),
    };
    services.sort_by_key(|row| (Reverse(row.traffic.bytes()), order(row)));
    let traffic = found.first().map(|row| row.traffic).unwrap_or_default();
    let rest_of_it = services.iter().fold(traffic, |rest, row| rest - row.traffic);
    text(&OneHost {
        services: services.into_iter().map(ServiceLine::from).collect(),
        other_services: rest_of_it.into(),
        hosts: Hosts::of(snapshot, found, &rest),
    })
}

/// `GET /api/v1/hosts`.
pub fn hosts(snapshot: &Snapshot, page: Page) -> String {
    text(&Hosts::new(snapshot, page))
}

/// Busiest first. Rows + other + none = total.
#[derive(Serialize)]
struct Ports {
    time: Option<String>,
    count: usize,
    ports: Vec<Port>,
    other: Volume,
    none: Volume,
    total: Volume,
}

#[derive(Serialize)]
struct Port {
    protocol: &'static str,
    port: u16,
    packets: u64,
    bytes: u64,
}

impl Ports {
    fn new(snapshot: &Snapshot, page: Page) -> Ports {
        let (rows, rest) = page.cut(busiest_ports(&snapshot.ports, page.end()));
        let port = |row: &PortRow| Port {
            protocol: row.transport.name(),
            port: row.port,
            packets: row.volume.packets,
            bytes: row.volume.bytes,
        };
        Ports {
            time: rfc3339(snapshot.taken_at),
            count: snapshot.ports.len(),
            ports: rows.into_iter().map(port).collect(),
            other: rest.iter().map(|row| row.volume).sum(),
            none: snapshot.without_port,
            total: snapshot.total,
        }
    }
}

/// `GET /api/v1/ports`.
pub fn ports(snapshot: &Snapshot, page: Page) -> String {
    text(&Ports::new(snapshot, page))
}

/// Busiest first. Rows + none = total.
fn protocols_json(snapshot: &Snapshot) -> Value {
    let key = |row: &ProtocolRow| (row.volume.bytes, row.number.into());
    let (rows, _) = busiest(&snapshot.protocols, 0, key);
    let row = |row: &&ProtocolRow| {
        json!({
            "protocol": protocol_name(row.number),
            "number": (row.number < 256).then_some(row.number),
            "packets": row.volume.packets,
            "bytes": row.volume.bytes,
        })
    };
    json!({
        "time": rfc3339(snapshot.taken_at),
        "protocols": rows.iter().map(row).collect::<Vec<_>>(),
        "other": Volume::default(),
        "none": snapshot.not_ip(),
        "total": snapshot.total,
    })
}

/// `GET /api/v1/protocols`.
pub fn protocols(snapshot: &Snapshot) -> String {
    text(&protocols_json(snapshot))
}

#[cfg(test)]
mod tests;
