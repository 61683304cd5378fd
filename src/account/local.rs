//! The local networks: which addresses are inside, and the direction of a packet.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::decode::Addr;

/// The direction of a packet, seen from the local network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Direction {
    /// From outside to a local host.
    In = 0,
    /// From a local host to outside.
    Out = 1,
    /// From a local host to a local host.
    Internal = 2,
    /// Neither end is local.
    Transit = 3,
    /// The frame is not IP, so it has no ends.
    None = 4,
}

impl Direction {
    /// All of them, in the order of their numbers.
    pub const ALL: [Direction; 5] =
        [Direction::In, Direction::Out, Direction::Internal, Direction::Transit, Direction::None];

    /// The direction of a packet, by which of its ends are local.
    #[inline]
    pub fn of(source_is_local: bool, destination_is_local: bool) -> Direction {
        // In the order of the numbers, which makes it a subtraction.
        let ends = u8::from(source_is_local) * 2 + u8::from(destination_is_local);
        match ends.wrapping_sub(1) & 3 {
            0 => Direction::In,
            1 => Direction::Out,
            2 => Direction::Internal,
            _ => Direction::Transit,
        }
    }

    /// The name in reports and the API.
    pub fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Internal => "internal",
            Direction::Transit => "transit",
            Direction::None => "none",
        }
    }
}

/// Inside by default: the private and link-local ranges, and the groups and broadcasts that local
/// hosts talk to.
const PRIVATE: [&str; 14] = [
    "10.0.0.0/8",         // RFC 1918
    "172.16.0.0/12",      // RFC 1918
    "192.168.0.0/16",     // RFC 1918
    "100.64.0.0/10",      // RFC 6598, carrier-grade NAT
    "169.254.0.0/16",     // RFC 3927
    "127.0.0.0/8",        // RFC 1122
    "0.0.0.0/32",         // a host without an address yet
    "224.0.0.0/4",        // RFC 5771, multicast
    "255.255.255.255/32", // RFC 919
    "fc00::/7",           // RFC 4193
    "fe80::/10",          // RFC 4291
    "::/128",             // a host without an address yet
    "::1/128",            // RFC 4291
    "ff00::/8",           // RFC 4291, multicast
];

/// Inside whatever the local networks are: such addresses do not lie beyond the link or the site.
/// The other end decides whether a packet is a download or an upload.
const AT_HOME: [&str; 7] = [
    "0.0.0.0/32",         // RFC 1122, a host without an address yet (DHCP)
    "169.254.0.0/16",     // RFC 3927, link-local
    "224.0.0.0/4",        // RFC 5771, multicast
    "255.255.255.255/32", // RFC 919, limited broadcast
    "::/128",             // RFC 4291, a host without an address yet
    "fe80::/10",          // RFC 4291, link-local
    "ff00::/8",           // RFC 4291, multicast
];

/// The local networks: a set of prefixes.
///
/// [`LocalNetworks::contains`] is about the prefixes to the letter. [`LocalNetworks::has`] is for
/// counting: groups, broadcasts and link-local addresses are inside as well. Neither decides who is
/// let in to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNetworks {
    prefixes: Vec<IpNet>,
    v4: Masks<u32>,
    v6: Masks<u128>,
    /// The directed broadcasts of the IPv4 prefixes (RFC 919): their last addresses.
    broadcasts: Vec<u32>,
}

/// The prefixes of one IP version. Every new host, in a scan every frame, is compared with all of
/// them: this takes a tenth of the instructions of `IpNet`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Masks<N> {
    /// Mask and masked address.
    masks: Vec<(N, N)>,
    /// A bit for each first byte of an address: whether any prefix may hold it. Most addresses need
    /// no other test.
    first_bytes: [u64; 4],
}

impl<N: Copy + PartialEq + std::ops::BitAnd<Output = N>> Masks<N> {
    /// `prefixes` are mask, masked address, and the first byte of each.
    fn new(prefixes: impl Iterator<Item = (N, N, [u8; 2])>) -> Masks<N> {
        let mut all = Masks { masks: Vec::new(), first_bytes: [0; 4] };
        for (mask, network, [mask_byte, network_byte]) in prefixes {
            all.masks.push((mask, network));
            for byte in (0..=255).filter(|byte| byte & mask_byte == network_byte) {
                all.first_bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
            }
        }
        all
    }

    #[inline]
    fn have(&self, address: N, first_byte: u8) -> bool {
        self.first_bytes[usize::from(first_byte >> 6)] >> (first_byte & 63) & 1 != 0
            && self.masks.iter().any(|(mask, network)| address & *mask == *network)
    }
}

impl LocalNetworks {
    /// Exactly these prefixes.
    pub fn exactly(prefixes: Vec<IpNet>) -> LocalNetworks {
        let at_home = AT_HOME.iter().filter_map(|prefix| prefix.parse().ok());
        let inside: Vec<IpNet> = prefixes.iter().copied().chain(at_home).collect();
        let v4 = inside.iter().filter_map(|prefix| match prefix {
            IpNet::V4(net) => Some((net.netmask(), net.network())),
            IpNet::V6(_) => None,
        });
        let v4 =
            v4.map(|(mask, net)| (mask.into(), net.into(), [mask.octets()[0], net.octets()[0]]));
        let v6 = inside.iter().filter_map(|prefix| match prefix {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some((net.netmask(), net.network())),
        });
        let v6 =
            v6.map(|(mask, net)| (mask.into(), net.into(), [mask.octets()[0], net.octets()[0]]));
        // Links of two hosts or one have no broadcast (RFC 3021).
        let broadcasts = prefixes.iter().filter_map(|prefix| match prefix {
            IpNet::V4(net) if net.prefix_len() <= 30 => Some(u32::from(net.broadcast())),
            _ => None,
        });
        let broadcasts = broadcasts.collect();
        LocalNetworks { v4: Masks::new(v4), v6: Masks::new(v6), broadcasts, prefixes }
    }

    /// The private ranges, and `on_link`, the prefixes of the watched interfaces.
    pub fn private_and(on_link: Vec<IpNet>) -> LocalNetworks {
        let private = PRIVATE.iter().filter_map(|prefix| prefix.parse().ok());
        let on_link = on_link.into_iter().map(|net: IpNet| net.trunc());
        LocalNetworks::exactly(private.chain(on_link).collect())
    }

    /// Whether one of the prefixes holds the address.
    pub fn contains(&self, address: &IpAddr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(address))
    }

    /// Whether the address counts as inside: a local host, a group, a broadcast, or an address that
    /// is valid on the link alone.
    #[inline]
    pub fn has(&self, address: &Addr) -> bool {
        match address.v4_number() {
            Some(number) => self.v4.have(number, (number >> 24) as u8),
            None => self.v6.have(u128::from_be_bytes(address.0), address.0[0]),
        }
    }

    /// Whether the address belongs to a group of hosts or to all, so to no single host: multicast,
    /// the limited broadcast, or the directed broadcast of a local prefix.
    pub fn is_group(&self, address: &Addr) -> bool {
        match address.v4_number() {
            Some(number) => {
                number >> 28 == 0xe || number == u32::MAX || self.broadcasts.contains(&number)
            }
            None => address.0[0] == 0xff,
        }
    }

    /// The prefixes.
    pub fn prefixes(&self) -> &[IpNet] {
        &self.prefixes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_private_prefix_is_a_prefix() {
        assert_eq!(LocalNetworks::private_and(vec![]).prefixes().len(), PRIVATE.len());
    }

    #[test]
    fn given_prefixes_are_taken_to_the_letter() {
        let local = LocalNetworks::exactly(vec!["192.0.2.0/24".parse().unwrap()]);
        assert!(local.contains(&ip("192.0.2.255")));
        assert!(!local.contains(&ip("192.168.0.1")));
        assert!(!local.contains(&ip("224.0.0.251")));
    }

    #[test]
    fn groups_and_broadcasts_are_at_home_whatever_the_prefixes_are() {
        let local = LocalNetworks::exactly(vec!["192.168.1.0/24".parse().unwrap()]);
        let way = |source: &str, destination: &str| {
            let is_local = |address: &str| local.has(&Addr::from(ip(address)));
            Direction::of(is_local(source), is_local(destination))
        };
        let groups = ["224.0.0.251", "239.255.255.250", "255.255.255.255", "192.168.1.255"];
        for group in groups {
            assert_eq!(way("192.168.1.5", group), Direction::Internal, "{group}");
            assert!(local.is_group(&Addr::from(ip(group))), "{group}");
        }
        // DHCP before the lease, neighbour discovery, mDNS.
        assert_eq!(way("0.0.0.0", "255.255.255.255"), Direction::Internal);
        assert_eq!(way("::", "ff02::1:ff00:1"), Direction::Internal);
        assert_eq!(way("fe80::1", "ff02::fb"), Direction::Internal);
        assert!(local.is_group(&Addr::from(ip("ff02::fb"))));
        // A stream from outside to a group is a download, too.
        assert_eq!(way("203.0.113.9", "239.1.2.3"), Direction::In);
        assert_eq!(way("192.168.1.5", "203.0.113.255"), Direction::Out);
        for host in ["192.168.1.254", "192.168.1.0", "203.0.113.255", "223.255.255.255", "fe80::1"]
        {
            assert!(!local.is_group(&Addr::from(ip(host))), "{host}");
        }
        // Counted as inside, but in no prefix.
        assert!(!local.contains(&ip("fe80::1")) && !local.contains(&ip("169.254.3.4")));
        let link = LocalNetworks::exactly(vec!["192.0.2.0/31".parse().unwrap()]);
        assert!(!link.is_group(&Addr::from(ip("192.0.2.1"))));
    }

    #[test]
    fn directions_follow_from_the_ends() {
        assert_eq!(Direction::of(false, true), Direction::In);
        assert_eq!(Direction::of(true, false), Direction::Out);
        assert_eq!(Direction::of(true, true), Direction::Internal);
        assert_eq!(Direction::of(false, false), Direction::Transit);
    }

    #[test]
    fn the_ends_of_a_prefix_are_inside_and_their_neighbours_outside() {
        let local = LocalNetworks::private_and(vec![]);
        for inside in ["172.16.0.0", "172.31.255.255", "0.0.0.0", "::", "::1", "fdff::1"] {
            assert!(local.contains(&ip(inside)), "{inside}");
        }
        for outside in ["172.15.255.255", "172.32.0.0", "0.0.0.1", "::2", "fe00::1"] {
            assert!(!local.contains(&ip(outside)), "{outside}");
        }
        let all = LocalNetworks::exactly(vec!["0.0.0.0/0".parse().unwrap()]);
        assert!(all.contains(&ip("192.0.2.1")) && !all.contains(&ip("::1")));
    }

    #[test]
    fn the_prefix_of_an_interface_is_inside_as_well() {
        let local = LocalNetworks::private_and(vec!["2001:db8::5/64".parse().unwrap()]);
        assert!(local.contains(&ip("2001:db8::99")));
        assert!(!local.contains(&ip("2001:db8:0:1::99")));
    }
}
