//! Which networks may open the page by default: those that this machine is in.
//!
//! Being local (counted as inside) lets nobody in: any customer of the same provider may have a
//! private address. The page admits the prefixes of the watched interfaces, and of the other
//! Ethernet and Wi-Fi interfaces: with a mirror port or a bridge, people reach the page through
//! another interface than the watched one. It does not admit by default
//! - the shared address space of providers, 100.64.0.0/10 (RFC 6598), on any interface;
//! - the provider's side of a router: an interface with the default route that is not watched,
//!   if this machine forwards and a watched interface has an IPv4 address;
//! - a tunnel that is not watched.
//!
//! `web.allow` adds to these.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::capture::interfaces::Interface;

/// The prefixes that are let in, and the interfaces whose link-local addresses are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Nearby {
    pub(super) prefixes: Vec<IpNet>,
    pub(super) interfaces: Vec<String>,
}

/// Finds what is near among `all` interfaces of this machine. `watched` names the watched ones;
/// `forwards` is whether this machine routes IPv4 for others.
pub(super) fn nearby(all: &[Interface], watched: &[String], forwards: bool) -> Nearby {
    let is_watched = |interface: &Interface| watched.contains(&interface.name);
    let is_usual = |net: &IpNet| matches!(net.addr(), IpAddr::V4(v4) if !v4.is_link_local());
    let is_router =
        forwards && all.iter().any(|i| is_watched(i) && i.addresses.iter().any(is_usual));
    let is_near = |interface: &&Interface| {
        let is_provider = is_router && interface.has_default_route;
        is_watched(interface) || (interface.is_ethernet && !is_provider)
    };
    let mut near = Nearby::default();
    for interface in all.iter().filter(is_near) {
        near.interfaces.push(interface.name.clone());
        near.prefixes
            .extend(interface.addresses.iter().filter(|net| may_enter(net)).map(IpNet::trunc));
    }
    near.prefixes.sort();
    near.prefixes.dedup();
    near
}

/// Whether a prefix of an interface may be let in. One of length 0 (a point-to-point link) says
/// nothing about who is near, and fe80::/10 is on every link.
fn may_enter(net: &IpNet) -> bool {
    let shared = Ipv4Net::new_assert([100, 64, 0, 0].into(), 10);
    match net {
        IpNet::V4(v4) => v4.prefix_len() > 0 && !shared.contains(&v4.addr()),
        IpNet::V6(v6) => v6.prefix_len() > 0 && !v6.addr().is_unicast_link_local(),
    }
}

/// Whether this machine routes IPv4 for others (ip_forward of ip-sysctl).
pub(super) fn forwards() -> bool {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    text.is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        Interface {
            name: name.to_owned(),
            addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
            mac: None,
            is_up: true,
            state: "up".to_owned(),
            speed: None,
            has_default_route: false,
            is_ethernet: !name.starts_with("lo") && !name.starts_with("tun"),
            is_real: true,
        }
    }

    fn with_default_route(mut interface: Interface) -> Interface {
        interface.has_default_route = true;
        interface
    }

    fn prefixes(all: &[Interface], watched: &[&str], forwards: bool) -> Vec<String> {
        let watched: Vec<String> = watched.iter().map(|name| (*name).to_owned()).collect();
        nearby(all, &watched, forwards).prefixes.iter().map(IpNet::to_string).collect()
    }

    #[test]
    fn a_machine_at_home_lets_in_its_own_network_and_no_other_private_one() {
        let all = [
            with_default_route(interface(
                "eth0",
                &["192.168.1.5/24", "2001:db8::5/64", "fe80::5/64"],
            )),
            interface("lo", &["127.0.0.1/8", "::1/128"]),
        ];
        // Containers may switch forwarding on.
        for forwards in [false, true] {
            let near = prefixes(&all, &["eth0"], forwards);
            assert_eq!(near, ["192.168.1.0/24", "2001:db8::/64"]);
        }
        let near = nearby(&all, &["eth0".to_owned()], false);
        assert_eq!(near.interfaces, ["eth0"]);
    }

    #[test]
    fn a_router_does_not_let_in_the_providers_side() {
        let wan = || with_default_route(interface("eth0", &["10.20.30.40/16", "fe80::1/64"]));
        let lan = interface("eth1", &["192.168.7.1/24", "fe80::2/64"]);
        let all = [wan(), lan];
        assert_eq!(prefixes(&all, &["eth1"], true), ["192.168.7.0/24"]);
        assert_eq!(nearby(&all, &["eth1".to_owned()], true).interfaces, ["eth1"]);
    }

    #[test]
    fn behind_a_mirror_port_or_a_bridge_the_other_interface_lets_in() {
        // Mirrored advertisements may give the port an IPv6 address.
        let port = interface("eth1", &["2001:db8::1/64", "fe80::1/64", "169.254.9.9/16"]);
        let own = with_default_route(interface("eth0", &["192.168.1.5/24"]));
        for forwards in [false, true] {
            let near = prefixes(&[port.clone(), own.clone()], &["eth1"], forwards);
            assert_eq!(near, ["169.254.0.0/16", "192.168.1.0/24", "2001:db8::/64"]);
        }
        let bridge = with_default_route(interface("br0", &["192.168.1.5/24"]));
        let all = [interface("eth0", &[]), interface("eth1", &[]), bridge];
        assert_eq!(prefixes(&all, &["eth0"], true), ["192.168.1.0/24"]);
        assert_eq!(prefixes(&all, &[], false), ["192.168.1.0/24"]);
    }

    #[test]
    fn the_shared_address_space_and_tunnels_are_not_let_in() {
        let all = [
            with_default_route(interface("eth0", &["100.64.3.4/10"])),
            interface("tun0", &["10.8.0.1/24"]),
            interface("tun1", &["0.0.0.0/0"]),
        ];
        assert_eq!(prefixes(&all, &["eth0"], false), [""; 0]);
        assert_eq!(prefixes(&all, &["tun0", "tun1"], false), ["10.8.0.0/24"]);
    }
}
