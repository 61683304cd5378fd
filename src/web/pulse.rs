//! `GET /api/v1/pulse`: what a page needs every second, in few bytes. With it come the counters of
//! one host, port, protocol or interface, so that a page that shows one thing can show its rate.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::account::{CLASSES, Direction, InOut, Second, Snapshot, Volume, protocol_name};
use crate::decode::Addr;
use crate::export::busiest::busiest;

/// A host seen within this time before the snapshot is active, nanoseconds.
const ACTIVE: i64 = 60 * 1_000_000_000;

/// Bytes by direction, then packets by protocol class, then packets that are not IP.
const COLUMNS: usize = Direction::ALL.len() + CLASSES + 1;

fn columns(volume: impl Fn(Direction) -> Volume, classes: [u64; CLASSES]) -> [u64; COLUMNS] {
    let bytes = Direction::ALL.map(|direction| volume(direction).bytes);
    let none = [volume(Direction::None).packets];
    let mut all = bytes.into_iter().chain(classes).chain(none);
    std::array::from_fn(|_| all.next().unwrap_or(0))
}

/// `GET /api/v1/pulse`: what a page needs every second, in few bytes: the seconds after `since`
/// (without it, the last second only), the totals, the `top` busiest hosts of the last second, and
/// the counters of `one` thing, if requested.
pub fn pulse(
    snapshot: &Snapshot,
    age: u64,
    since: Option<i64>,
    top: usize,
    one: Option<Option<Vec<u64>>>,
) -> String {
    let is_new = |second: &&Second| since.is_none_or(|since| second.start > since);
    let count = snapshot.seconds.iter().rev().take_while(is_new).count();
    let count = if since.is_none() { count.min(1) } else { count };
    let row = |second: &Second| {
        let start = std::iter::once(json!(second.start));
        let columns = columns(|direction| second.direction(direction), second.classes);
        start.chain(columns.map(Value::from)).collect::<Value>()
    };
    let seconds: Value =
        snapshot.seconds[snapshot.seconds.len() - count..].iter().map(row).collect();
    let of_late = snapshot.taken_at.saturating_sub(ACTIVE);
    let active = snapshot.hosts.iter().filter(|host| host.last >= of_late).count();
    let mut hosts = json!({ "count": snapshot.hosts.len(), "active": active });
    if let Some(late) = snapshot.busiest.as_ref().filter(|_| top > 0) {
        let (rows, rest) = busiest(&late.hosts, top, |row| (row.1.bytes(), row.0.number()));
        let other = rest.iter().fold(late.other, |sum, row| sum + row.1);
        let row = |row: &&(Addr, InOut)| {
            json!([row.0.to_string(), row.1.received.bytes, row.1.sent.bytes])
        };
        hosts["start"] = json!(late.start);
        hosts["seconds"] = json!(late.length);
        hosts["rows"] = rows.iter().map(row).collect();
        hosts["other"] = json!([other.received.bytes, other.sent.bytes]);
    }
    let waiting = snapshot.interfaces.iter().filter(|i| i.is_watched && !i.is_capturing);
    let drops = snapshot.drops();
    let mut answer = json!({
        "number": snapshot.number,
        "age_seconds": age,
        "time": snapshot.taken_at.div_euclid(1_000_000_000),
        "uptime_seconds": snapshot.uptime.as_secs(),
        "waiting": waiting.map(|interface| interface.name.as_str()).collect::<Vec<_>>(),
        "drops": [drops.kernel, drops.interface, drops.ring],
        "totals": columns(|direction| snapshot.direction(direction), snapshot.classes()),
        "seconds": seconds,
        "hosts": hosts,
    });
    if let Some(one) = one {
        answer["one"] = json!(one);
    }
    answer.to_string()
}

/// The counters of a row, bytes since the daemon's start: a host's received and sent, a port's or a
/// protocol's total, an interface's by direction. `None`: it has no row, or lost it.
///
/// # Errors
/// What is wrong with `what` or `name`, for people.
pub(super) fn one(snapshot: &Snapshot, what: &str, name: &str) -> Result<Option<Vec<u64>>, String> {
    match what {
        "hosts" => {
            let address: IpAddr =
                name.parse().map_err(|_| format!("'name' must be an IP address, not '{name}'"))?;
            let row = snapshot.hosts.iter().find(|row| row.address.ip() == address);
            Ok(row.map(|row| vec![row.traffic.received.bytes, row.traffic.sent.bytes]))
        }
        "ports" => {
            let wrong = || format!("'name' must be a port such as tcp/443, not '{name}'");
            let (transport, port) = name.split_once('/').ok_or_else(wrong)?;
            let port: u16 = port.parse().map_err(|_| wrong())?;
            let mut rows = snapshot.ports.iter();
            let row = rows.find(|row| row.port == port && row.transport.name() == transport);
            Ok(row.map(|row| vec![row.volume.bytes]))
        }
        "protocols" => {
            let mut rows = snapshot.protocols.iter();
            let row = rows.find(|row| protocol_name(row.number) == name);
            Ok(row.map(|row| vec![row.volume.bytes]))
        }
        "interfaces" => {
            let row = snapshot.interfaces.iter().find(|row| row.name == name);
            Ok(row.map(|row| row.directions.iter().map(|volume| volume.bytes).collect()))
        }
        _ => Err(format!("'what' must be hosts, ports, protocols or interfaces, not '{what}'")),
    }
}
