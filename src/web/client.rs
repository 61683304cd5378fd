//! Identifies clients for limits and queues: one value per IPv4 address or /64 of IPv6. Any thread
//! of the web may make one.

use std::net::{IpAddr, Ipv6Addr};

/// What the limits count as one client: an IPv4 address, or the /64 of an IPv6 address. A machine
/// can give itself any number of addresses within its /64 (RFC 4862, RFC 8981), so a limit per IPv6
/// address would limit nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

/// The network bits of an IPv6 address.
const NETWORK: u128 = !0 << 64;

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Client {
        Client(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & NETWORK)),
            v4 => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(one: &str, other: &str) -> bool {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        client(one) == client(other)
    }

    #[test]
    fn a_64_is_one_client_and_each_ipv4_address_is_one() {
        assert!(is_one("2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(!is_one("2001:db8::1", "2001:db8:0:1::1"));
        assert!(is_one("fe80::1", "fe80::2"));
        assert!(is_one("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!is_one("192.0.2.1", "192.0.2.2"));
        assert!(!is_one("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    }
}
