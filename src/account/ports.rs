//! Counters by service port: TCP and UDP, 65,536 each.
//!
//! The key space is small, so this table is bounded by nature and needs no hash: two
//! levels, pages of 64 ports made when one of them is first seen. A home uses some 150
//! pages (300 KB); all of them are 4 MiB.

use super::volume::{Split, Volume};

const PAGE: usize = 64;
const PAGES: usize = 2 * 65_536 / PAGE;

/// The transport protocols that have ports here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp = 0,
    /// User Datagram Protocol.
    Udp = 1,
}

impl Transport {
    /// The name in reports, the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }

    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Transport::Tcp => crate::decode::protocol::TCP,
            Transport::Udp => crate::decode::protocol::UDP,
        }
    }

    /// The transport with this IP protocol number.
    #[inline]
    pub fn from_number(number: u8) -> Option<Transport> {
        match number {
            crate::decode::protocol::TCP => Some(Transport::Tcp),
            crate::decode::protocol::UDP => Some(Transport::Udp),
            _ => None,
        }
    }
}

/// The counters of all service ports.
pub struct Ports {
    pages: Vec<Option<Box<[Split<Volume>; PAGE]>>>,
}

impl Ports {
    /// No port seen yet.
    pub fn new() -> Ports {
        Ports { pages: (0..PAGES).map(|_| None).collect() }
    }

    /// Counts one packet of `bytes` wire bytes.
    #[inline]
    pub fn count(&mut self, transport: Transport, port: u16, bytes: u64) {
        let key = (transport as usize) << 16 | usize::from(port);
        match &mut self.pages[key / PAGE] {
            Some(page) => page[key % PAGE].interval.count(bytes),
            missing => {
                let page = missing.insert(Box::new([Split::default(); PAGE]));
                page[key % PAGE].interval.count(bytes);
            }
        }
    }

    /// Every port that has been seen, with its total.
    pub fn totals(&self) -> impl Iterator<Item = (Transport, u16, Volume)> {
        self.pages.iter().enumerate().flat_map(|(number, page)| {
            page.iter().flat_map(move |page| {
                page.iter().enumerate().filter_map(move |(at, split)| {
                    let (transport, port) = unkey(number * PAGE + at);
                    let total = split.total();
                    (!total.is_zero()).then_some((transport, port, total))
                })
            })
        })
    }

    /// Ends the interval; `each` is given what every port had in it.
    pub fn close(&mut self, mut each: impl FnMut(Transport, u16, Volume)) {
        for (number, page) in self.pages.iter_mut().enumerate() {
            for (at, split) in page.iter_mut().flat_map(|page| page.iter_mut().enumerate()) {
                let held = split.close();
                if !held.is_zero() {
                    let (transport, port) = unkey(number * PAGE + at);
                    each(transport, port, held);
                }
            }
        }
    }
}

impl Default for Ports {
    fn default() -> Ports {
        Ports::new()
    }
}

fn unkey(key: usize) -> (Transport, u16) {
    let transport = if key >> 16 == 0 { Transport::Tcp } else { Transport::Udp };
    (transport, (key & 0xffff) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_port_of_tcp_and_udp_is_two_rows() {
        let mut ports = Ports::new();
        ports.count(Transport::Tcp, 53, 100);
        ports.count(Transport::Udp, 53, 60);
        ports.count(Transport::Udp, 65_535, 1);
        let rows: Vec<_> = ports.totals().map(|(t, port, v)| (t, port, v.bytes)).collect();
        assert_eq!(
            rows,
            [(Transport::Tcp, 53, 100), (Transport::Udp, 53, 60), (Transport::Udp, 65_535, 1)]
        );
    }

    #[test]
    fn closing_keeps_the_total() {
        let mut ports = Ports::new();
        ports.count(Transport::Tcp, 443, 10);
        let mut held = Vec::new();
        ports.close(|_, port, volume| held.push((port, volume.bytes)));
        ports.close(|_, port, volume| held.push((port, volume.bytes)));
        assert_eq!(held, [(443, 10)]);
        assert_eq!(ports.totals().next().unwrap().2.bytes, 10);
    }
}
