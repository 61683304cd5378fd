//! The counters of one host, port, protocol or interface since the start. They come with each
//! pulse, so that a page that shows one thing can show its rate each second.

use std::net::IpAddr;

use crate::account::{Snapshot, protocol_name};

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
