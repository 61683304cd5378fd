//! The JSON of the API, made from a snapshot. README documents every key.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use crate::account::{
    Direction, ErrorKind, HostRow, InterfaceRow, PortRow, ProtocolRow, Second, Snapshot, Volume,
    protocol_name,
};
use crate::decode::Network;
use crate::export::report::{busiest, host_json, in_out_json};
use crate::export::time::rfc3339;

/// Which rows of a table are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows to skip.
    pub offset: usize,
    /// Rows to show, at least 1.
    pub limit: usize,
}

/// Adds the four counters of a volume pair by direction under `packets_*` and `bytes_*`.
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

/// `GET /api/v1/live`: rates of the last whole second, totals, drops, recent seconds, and
/// the busiest rows of each table.
pub fn live(snapshot: &Snapshot, seconds: usize, top: usize) -> Value {
    let last = snapshot.seconds.last().copied().unwrap_or_default();
    let skipped = snapshot.seconds.len().saturating_sub(seconds);
    let recent: Vec<Value> = snapshot.seconds[skipped..]
        .iter()
        .map(|second| {
            let bits = |direction| second.direction(direction).bytes * 8;
            json!({
                "start": second.start,
                "packets": second.total().packets,
                "bits_in": bits(Direction::In),
                "bits_out": bits(Direction::Out),
                "bits_internal": bits(Direction::Internal),
                "bits_transit": bits(Direction::Transit),
                "bits_none": bits(Direction::None),
            })
        })
        .collect();
    let mut totals = directions_json(|direction| snapshot.direction(direction));
    totals.insert("packets".into(), json!(snapshot.total.packets));
    totals.insert("bytes".into(), json!(snapshot.total.bytes));
    let page = Page { offset: 0, limit: top };
    json!({
        "time": rfc3339(snapshot.taken_at),
        "number": snapshot.number,
        "rates": rates_json(&last),
        "totals": totals,
        "drops": snapshot.drops(),
        "errors": errors_json(snapshot.errors()),
        "seconds": recent,
        "interfaces": interfaces(snapshot)["interfaces"],
        "hosts": if top == 0 { Value::Null } else { hosts(snapshot, page) },
        "ports": if top == 0 { Value::Null } else { ports(snapshot, page) },
        "protocols": protocols(snapshot),
    })
}

fn errors_json(errors: [u64; ErrorKind::COUNT]) -> Map<String, Value> {
    let names = ErrorKind::NAMES.iter();
    names.zip(errors).map(|(name, count)| ((*name).to_owned(), json!(count))).collect()
}

/// `GET /api/v1/interfaces`.
pub fn interfaces(snapshot: &Snapshot) -> Value {
    let row = |i: &InterfaceRow| {
        let mut object = Map::new();
        object.insert("name".into(), json!(i.name));
        object.insert("link_type".into(), json!(i.link_type));
        object.insert("is_capturing".into(), json!(i.is_capturing));
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
    };
    json!({
        "time": rfc3339(snapshot.taken_at),
        "interfaces": snapshot.interfaces.iter().map(row).collect::<Vec<_>>(),
        "total": snapshot.total,
    })
}

/// Sorts rows, cuts the page out, and tells the sum of what is not on it.
fn page_of<T, K: Ord>(rows: &[T], page: Page, key: impl Fn(&T) -> K) -> (Vec<&T>, Vec<&T>) {
    let (mut shown, mut rest) = busiest(rows, page.offset.saturating_add(page.limit), key);
    let before: Vec<&T> = shown.drain(..page.offset.min(shown.len())).collect();
    rest.extend(before);
    (shown, rest)
}

/// `GET /api/v1/hosts`: busiest first. Rows + other + none = total.
pub fn hosts(snapshot: &Snapshot, page: Page) -> Value {
    let count = snapshot.hosts.len();
    let (rows, rest) =
        page_of(&snapshot.hosts, page, |row: &HostRow| (Reverse(row.traffic.bytes()), row.address));
    let other = rest.iter().fold(snapshot.other_hosts, |sum, row| sum + row.traffic);
    json!({
        "time": rfc3339(snapshot.taken_at),
        "count": count,
        "folded": snapshot.folded_hosts,
        "hosts": rows.iter().map(|row| host_json(row)).collect::<Vec<_>>(),
        "other": in_out_json(other),
        "none": snapshot.not_ip(),
        "total": snapshot.total,
    })
}

/// `GET /api/v1/ports`: busiest first. Rows + other + none = total.
pub fn ports(snapshot: &Snapshot, page: Page) -> Value {
    let count = snapshot.ports.len();
    let (rows, rest) = page_of(&snapshot.ports, page, |row: &PortRow| {
        (Reverse(row.volume.bytes), row.transport, row.port)
    });
    let other: Volume = rest.iter().map(|row| row.volume).sum();
    let row = |row: &&PortRow| {
        json!({
            "protocol": row.transport.name(),
            "port": row.port,
            "packets": row.volume.packets,
            "bytes": row.volume.bytes,
        })
    };
    json!({
        "time": rfc3339(snapshot.taken_at),
        "count": count,
        "ports": rows.iter().map(row).collect::<Vec<_>>(),
        "other": other,
        "none": snapshot.without_port,
        "total": snapshot.total,
    })
}

/// `GET /api/v1/protocols`: busiest first. Rows + none = total.
pub fn protocols(snapshot: &Snapshot) -> Value {
    let mut rows = snapshot.protocols.clone();
    rows.sort_by_key(|row| (Reverse(row.volume.bytes), row.number));
    let row = |row: &ProtocolRow| {
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
