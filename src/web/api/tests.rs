//! The API's answers, from synthetic snapshots.

use serde_json::Value;

use super::*;
use crate::account::{Busiest, ClosedInterval, InOut, IntervalHost, LocalNetworks, Transport};
use crate::decode::{Addr, Mac};
use crate::web::pulse::{one, pulse};

fn address(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

fn traffic(received: u64, sent: u64) -> InOut {
    let volume = |bytes| Volume { packets: bytes / 100, bytes };
    InOut { received: volume(received), sent: volume(sent) }
}

/// A host, the group that it sends most to, and a host outside.
const ROWS: [(&str, u64, u64); 3] =
    [("192.168.1.5", 1_000, 9_000), ("239.255.255.250", 8_000, 0), ("203.0.113.9", 1_000, 1_000)];

fn local() -> LocalNetworks {
    LocalNetworks::exactly(vec!["192.168.1.0/24".parse().unwrap()])
}

fn snapshot() -> Snapshot {
    let host = |(name, received, sent): (&str, u64, u64)| HostRow {
        address: address(name),
        mac: Mac::default(),
        local: local().has(&address(name)),
        group: local().is_group(&address(name)),
        first: 0,
        last: 0,
        traffic: traffic(received, sent),
    };
    let interval = ClosedInterval {
        length: 1,
        hosts: ROWS
            .iter()
            .map(|(name, received, sent)| IntervalHost {
                address: address(name),
                mac: Mac::default(),
                local: local().has(&address(name)),
                traffic: traffic(*received, *sent),
                rates: Default::default(),
            })
            .collect(),
        ..ClosedInterval::default()
    };
    let port =
        |transport, bytes| PortRow { transport, port: 53, volume: Volume { packets: 1, bytes } };
    Snapshot {
        hosts: ROWS.into_iter().map(host).collect::<Vec<_>>().into(),
        ports: vec![port(Transport::Tcp, 100), port(Transport::Udp, 200)].into(),
        protocols: vec![ProtocolRow { number: 17, volume: Volume { packets: 1, bytes: 200 } }]
            .into(),
        interfaces: vec![InterfaceRow {
            name: "eth0".to_owned(),
            link_type: "EN10MB".to_owned(),
            total: Volume::default(),
            directions: [1, 2, 3, 4, 5].map(|bytes| Volume { packets: 1, bytes }),
            ethertypes: Default::default(),
            captured_bytes: 0,
            errors: Default::default(),
            drops: Drops::default(),
            kernel: Default::default(),
            is_capturing: true,
            is_watched: true,
        }]
        .into(),
        busiest: Some(Busiest::of(&interval, 0, &local()).into()),
        ..Snapshot::default()
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_group_is_nobodys_busiest_host_and_nothing_is_lost() {
    let snapshot = snapshot();
    for (top, expected) in [(1, vec!["192.168.1.5"]), (50, vec!["192.168.1.5", "203.0.113.9"])] {
        let pulse = json(&pulse(&snapshot, 0, None, top, None));
        let rows = pulse["hosts"]["rows"].as_array().unwrap();
        let names: Vec<_> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{pulse}");
        let sum = |at: usize| {
            let rows: u64 = rows.iter().map(|row| row[at].as_u64().unwrap()).sum();
            rows + pulse["hosts"]["other"][at - 1].as_u64().unwrap()
        };
        assert_eq!((sum(1), sum(2)), (10_000, 10_000));

        let live = json(&live(&snapshot, 0, 1, top));
        let rows = live["hosts"]["hosts"].as_array().unwrap();
        let names: Vec<_> = rows.iter().map(|row| row["addr"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{live}");
        let received: u64 = rows.iter().map(|row| row["bytes_in"].as_u64().unwrap()).sum();
        assert_eq!(received + live["hosts"]["other"]["bytes_in"].as_u64().unwrap(), 10_000);
    }
    // The table of hosts still has a row for the group.
    let hosts = json(&hosts(&snapshot, Page { offset: 0, limit: 50 }));
    assert_eq!(hosts["hosts"].as_array().unwrap().len(), 3);
}

#[test]
fn a_pulse_tells_what_one_thing_has_counted() {
    let snapshot = snapshot();
    let one = |what, name| one(&snapshot, what, name);
    assert_eq!(one("hosts", "192.168.1.5"), Ok(Some(vec![1_000, 9_000])));
    assert_eq!(one("hosts", "192.168.1.6"), Ok(None));
    assert_eq!(one("ports", "udp/53"), Ok(Some(vec![200])));
    assert_eq!(one("protocols", "udp"), Ok(Some(vec![200])));
    assert_eq!(one("interfaces", "eth0"), Ok(Some(vec![1, 2, 3, 4, 5])));
    for (what, name) in [("hosts", "pc"), ("ports", "53"), ("ports", "tcp/x"), ("people", "x")] {
        assert!(one(what, name).is_err(), "{what} {name}");
    }
    let with = json(&pulse(&snapshot, 0, None, 0, Some(Some(vec![1, 2]))));
    assert_eq!(with["one"], serde_json::json!([1, 2]));
    assert_eq!(json(&pulse(&snapshot, 0, None, 0, Some(None)))["one"], Value::Null);
    assert!(json(&pulse(&snapshot, 0, None, 0, None)).get("one").is_none());
}

#[test]
fn the_age_of_the_numbers_is_told() {
    let snapshot = snapshot();
    assert_eq!(json(&pulse(&snapshot, 7, None, 0, None))["age_seconds"], 7);
    assert_eq!(json(&live(&snapshot, 7, 1, 1))["age_seconds"], 7);
}
