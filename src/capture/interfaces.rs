//! The interfaces of this machine: names, addresses, state, speed, the default route.
//!
//! From getifaddrs(3), `/sys/class/net` and `/proc/self/net`; all of these are readable
//! inside the service's sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its addresses, each with the prefix that is on its link.
    pub addresses: Vec<IpNet>,
    /// Its hardware address, if it has one.
    pub mac: Option<String>,
    /// Whether it is switched on (IFF_UP).
    pub is_up: bool,
    /// The kernel's operational state, such as `up`, `down` or `unknown` (RFC 2863).
    pub state: String,
    /// Link speed in Mbit/s, if the driver knows it.
    pub speed: Option<u32>,
    /// Whether the default route leads over it.
    pub has_default_route: bool,
}

/// All interfaces, by name.
pub fn list() -> Vec<Interface> {
    let default = default_route();
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        let name = entry.interface_name;
        let interface = found.entry(name.clone()).or_insert_with(|| Interface {
            addresses: Vec::new(),
            mac: attribute(&name, "address")
                .filter(|mac| mac.bytes().any(|b| b != b'0' && b != b':')),
            is_up: false,
            state: attribute(&name, "operstate").unwrap_or_default(),
            speed: attribute(&name, "speed").and_then(|speed| speed.parse().ok()),
            has_default_route: default.as_ref() == Some(&name),
            name,
        });
        interface.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        let ip = |storage: Option<nix::sys::socket::SockaddrStorage>| -> Option<IpAddr> {
            let storage = storage?;
            let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        };
        if let (Some(address), Some(mask)) = (ip(entry.address), ip(entry.netmask))
            && let Ok(net) = IpNet::with_netmask(address, mask)
        {
            interface.addresses.push(net);
        }
    }
    found.into_values().collect()
}

/// The interface over which the default route leads, IPv4 before IPv6; the one with the
/// lowest metric.
pub fn default_route() -> Option<String> {
    let v4 = fs::read_to_string("/proc/self/net/route").ok().and_then(|text| {
        let routes = text.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [name, "00000000", _, _, _, _, metric, "00000000", ..] => {
                    Some((metric.parse::<u32>().ok()?, name.to_owned()))
                }
                _ => None,
            }
        });
        routes.min()
    });
    let v6 = || {
        let text = fs::read_to_string("/proc/self/net/ipv6_route").ok()?;
        let routes = text.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [destination, "00", _, _, _, metric, .., name] = fields[..] else {
                return None;
            };
            // The kernel keeps an unreachable default route on lo at the highest metric.
            let is_default = destination.bytes().all(|b| b == b'0') && name != "lo";
            is_default.then_some((u32::from_str_radix(metric, 16).ok()?, name.to_owned()))
        });
        routes.min()
    };
    v4.or_else(v6).map(|(_, name)| name)
}

/// A file of `/sys/class/net/INTERFACE`, if it says something.
pub(super) fn attribute(interface: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/{name}")).ok()?;
    let text = text.trim();
    (!text.is_empty() && text != "-1").then(|| text.to_owned())
}
