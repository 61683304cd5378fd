//! The addresses of a packet record: IP addresses and hardware addresses, as plain bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The 12 bytes in front of an IPv4 address inside an [`Addr`].
///
/// Not the IPv4-mapped prefix `::ffff:0:0/96`: a frame may carry that as a real IPv6
/// address, and the two must stay two hosts. `0000::/8` is reserved by the IETF
/// (RFC 4291, section 2.4), so no real network uses this one.
const V4_MARK: [u8; 12] = *b"\0brightstat4";

/// An IPv4 or IPv6 address in 16 bytes, cheap to hash and to compare.
///
/// The order is that of the bytes: IPv6 addresses by value, IPv4 addresses by value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addr(pub [u8; 16]);

impl Hash for Addr {
    /// As two numbers: hashing the array would hash its length as well.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [head, tail] = self.halves();
        state.write_u64(head);
        state.write_u64(tail);
    }
}

impl Addr {
    /// The address of nobody: what a record holds when its frame is not IP.
    pub const NONE: Addr = Addr([0; 16]);

    /// An IPv4 address, in network order.
    #[inline]
    pub fn v4(bytes: [u8; 4]) -> Addr {
        let mut whole = [0; 16];
        whole[..12].copy_from_slice(&V4_MARK);
        whole[12..].copy_from_slice(&bytes);
        Addr(whole)
    }

    /// An IPv6 address, in network order.
    #[inline]
    pub fn v6(bytes: [u8; 16]) -> Addr {
        Addr(bytes)
    }

    /// All bytes as two numbers: the first eight and the last eight, which hold all of an IPv4
    /// address.
    #[inline]
    pub fn halves(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, head @ ..] = self.0;
        [u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes(head)]
    }

    /// The address as a number that orders as addresses do.
    pub fn number(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The IPv4 address as a number, if it is one.
    #[inline]
    pub fn v4_number(&self) -> Option<u32> {
        let [mark @ .., a, b, c, d] = self.0;
        let mark: [u8; 12] = mark;
        (mark == V4_MARK).then_some(u32::from_be_bytes([a, b, c, d]))
    }

    /// The address as the standard library's type.
    pub fn ip(&self) -> IpAddr {
        match self.0.strip_prefix(&V4_MARK) {
            Some(&[a, b, c, d]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            _ => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Addr {
        match ip {
            IpAddr::V4(v4) => Addr::v4(v4.octets()),
            IpAddr::V6(v6) => Addr::v6(v6.octets()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            IpAddr::V4(ip) => ip.fmt(f),
            // Rust prints `::ffff:1.2.3.4` and, unlike inet_ntop, `::102:304`; tshark
            // and inet_ntop print IPv4-compatible addresses with dots.
            IpAddr::V6(ip) => match ip.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let low = low.to_be_bytes();
                    let high = high.to_be_bytes();
                    write!(f, "::{}.{}.{}.{}", high[0], high[1], low[0], low[1])
                }
                _ => ip.fmt(f),
            },
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A 48-bit hardware address; all zeros means "not known".
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether a frame has shown it.
    #[inline]
    pub fn is_known(&self) -> bool {
        self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_ipv6_address_is_not_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let plain: IpAddr = "192.0.2.1".parse().unwrap();
        assert_ne!(Addr::from(mapped), Addr::from(plain));
        assert_eq!(Addr::from(mapped).to_string(), "::ffff:192.0.2.1");
        assert_eq!(Addr::from(plain).to_string(), "192.0.2.1");
    }
}
