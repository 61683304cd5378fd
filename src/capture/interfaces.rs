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
    /// Whether its frames are Ethernet's or Wi-Fi's (ARPHRD_ETHER).
    pub is_ethernet: bool,
    /// Whether it belongs to a device, not only to the kernel.
    pub is_real: bool,
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
            is_ethernet: attribute(&name, "type").as_deref() == Some("1"),
            is_real: fs::exists(format!("/sys/class/net/{name}/device")).unwrap_or(false),
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

/// The interface of the default route with the lowest metric, IPv4 before IPv6.
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

/// The interface to watch if none is configured: the one with the default route. There is none
/// before DHCP has answered, and never one behind a mirror port. Then it is `current` if that is
/// still there, else the first Ethernet or Wi-Fi interface that is up, real ones before virtual
/// ones.
pub fn usual(current: Option<&str>) -> Option<String> {
    default_route().or_else(|| choose(current, &list()))
}

fn choose(current: Option<&str>, all: &[Interface]) -> Option<String> {
    if let Some(current) = all.iter().find(|i| Some(i.name.as_str()) == current) {
        return Some(current.name.clone());
    }
    let candidates = all.iter().filter(|i| i.is_up && i.is_ethernet && i.state != "down");
    candidates.min_by_key(|i| (!i.is_real, &i.name)).map(|i| i.name.clone())
}

/// Whether this is a Wi-Fi interface (it belongs to a cfg80211 device).
pub fn is_wifi(interface: &str) -> bool {
    fs::exists(format!("/sys/class/net/{interface}/phy80211")).unwrap_or(false)
}

/// A file of `/sys/class/net/INTERFACE`, unless it is empty or -1.
pub(super) fn attribute(interface: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/{name}")).ok()?;
    let text = text.trim();
    (!text.is_empty() && text != "-1").then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, is_up: bool, state: &str, is_real: bool) -> Interface {
        Interface {
            name: name.to_owned(),
            addresses: Vec::new(),
            mac: None,
            is_up,
            state: state.to_owned(),
            speed: None,
            has_default_route: false,
            is_ethernet: name != "lo" && name != "tun0",
            is_real,
        }
    }

    #[test]
    fn without_a_default_route_the_first_real_interface_that_is_up_is_watched() {
        let all = [
            interface("br0", true, "up", false),
            interface("eth0", true, "down", true),
            interface("eth1", true, "up", true),
            interface("lo", true, "unknown", false),
            interface("tun0", true, "unknown", false),
            interface("wlan0", true, "up", true),
        ];
        assert_eq!(choose(None, &all).as_deref(), Some("eth1"));
        assert_eq!(choose(Some("gone"), &all).as_deref(), Some("eth1"));
        // A cable that is pulled for a moment changes nothing.
        assert_eq!(choose(Some("eth0"), &all).as_deref(), Some("eth0"));
        assert_eq!(choose(None, &all[..2]).as_deref(), Some("br0"));
        assert_eq!(choose(None, &all[3..5]), None);
    }
}
