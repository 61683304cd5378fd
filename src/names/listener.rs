//! From frames to claims: the table of dissectors, and what has to remember earlier packets.

use super::claim::{Packet, Sink};
use super::locate::{Carries, locate};
use super::quic::Initials;
use super::streams::Streams;
use super::{arp, cdp, dhcp, dhcp6, dns, lldp, nbdgm, nbns, ndp, ssdp};
use crate::decode::{Network, PacketRecord, protocol};

/// Reads the payload of one packet.
type Read = fn(&Packet<'_>, Sink<'_>);

/// A dissector that needs one packet only.
pub struct Dissector {
    /// What it reads.
    pub name: &'static str,
    /// The packets that it wants.
    pub wants: Wants,
    /// Reads one.
    pub read: Read,
}

/// Which packets a dissector wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// UDP datagrams from or to one of these ports.
    Udp(&'static [u16]),
    /// Messages of this kind.
    All(Carries),
}

/// All dissectors that need one packet only. (A UDP datagram goes to the first one that wants it.)
pub const DISSECTORS: &[Dissector] = &[
    Dissector { name: "dns", wants: Wants::Udp(&dns::PORTS), read: dns::read },
    Dissector { name: "nbns", wants: Wants::Udp(&[137]), read: nbns::read },
    Dissector { name: "nbdgm", wants: Wants::Udp(&[138]), read: nbdgm::read },
    Dissector { name: "dhcp", wants: Wants::Udp(&[67, 68]), read: dhcp::read },
    Dissector { name: "dhcp6", wants: Wants::Udp(&[546, 547]), read: dhcp6::read },
    Dissector { name: "ssdp", wants: Wants::Udp(&[1_900]), read: ssdp::read },
    Dissector { name: "ndp", wants: Wants::All(Carries::Icmpv6), read: ndp::read },
    Dissector { name: "arp", wants: Wants::All(Carries::Arp), read: arp::read },
    Dissector { name: "lldp", wants: Wants::All(Carries::Lldp), read: lldp::read },
    Dissector { name: "cdp", wants: Wants::All(Carries::Cdp), read: cdp::read },
];

impl Wants {
    fn has(self, packet: &Packet<'_>, carries: Carries) -> bool {
        match self {
            Wants::Udp(ports) => {
                let (source, destination) = packet.ports;
                carries == Carries::Udp && (ports.contains(&source) || ports.contains(&destination))
            }
            Wants::All(kind) => carries == kind,
        }
    }
}

/// Whether a frame can tell a name or an address: the cheap test in front of [`Listener::hear`].
/// TCP segments without data are left out, and so is what carries none of the protocols.
#[inline]
pub fn wants(record: &PacketRecord) -> bool {
    match record.network() {
        Network::Arp | Network::Other => true,
        Network::Ipv4 | Network::Ipv6 => match record.protocol() {
            protocol::TCP => record.next_sequence().is_some(),
            protocol::UDP => record.ports().is_some(),
            other => other == protocol::ICMPV6,
        },
    }
}

/// Hears frames in the order of their times, and passes on what they claim. One for each interface
/// or file, in one thread.
#[derive(Default)]
pub struct Listener {
    streams: Streams,
    initials: Initials,
}

impl Listener {
    /// Reads a frame, whose record `decode` has made.
    pub fn hear(&mut self, frame: &[u8], record: &PacketRecord, claims: Sink<'_>) {
        let Some((packet, carries)) = locate(frame, record) else { return };
        if let Carries::Tcp(segment) = carries {
            return self.streams.read(&packet, segment, claims);
        }
        match DISSECTORS.iter().find(|d| d.wants.has(&packet, carries)) {
            Some(found) => (found.read)(&packet, claims),
            // QUIC is known by its packets, on any port.
            None if carries == Carries::Udp => self.initials.read(&packet, claims),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Mac;
    use crate::names::claim::{Claim, Source};
    use crate::names::frames::{ethernet, ipv4, record, tcp, udp};

    /// What a listener hears in frames, one after the other.
    fn heard(frames: &[Vec<u8>]) -> Vec<(Source, String)> {
        let (mut listener, mut said) = (Listener::default(), Vec::new());
        for frame in frames {
            let record = record(frame, 1);
            if wants(&record) {
                listener.hear(frame, &record, &mut |claim| {
                    said.push(match claim {
                        Claim::Name { address, name, source, .. } => {
                            (source, format!("{address} {name}"))
                        }
                        Claim::Link { address, mac, source } => {
                            (source, format!("{address} {mac}"))
                        }
                        Claim::Trait { mac, text, source, .. } => (source, format!("{mac} {text}")),
                    });
                });
            }
        }
        said
    }

    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &ipv4([10, 0, 0, 1], [192, 0, 2, 2], protocol, payload))
    }

    #[test]
    fn each_packet_goes_to_its_dissector() {
        let answer = [
            &[0, 7, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 2, b't', b'v', 0, 0, 1, 0, 1][..],
            &[0, 0, 0, 9, 0, 4, 10, 0, 0, 9],
        ]
        .concat();
        let arp =
            [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1];
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let name = |source, text: &str| (source, text.to_owned());
        assert_eq!(
            heard(&[
                packet(17, &udp(53, 4_000, &answer)),
                packet(17, &udp(5_353, 5_353, &answer)),
                packet(17, &udp(9_999, 9_998, &answer)),
                ethernet(0x0806, &arp),
                packet(6, &tcp(4_000, 8_080, 1, 0x18, request)),
                // A segment without data is not even looked at.
                packet(6, &tcp(4_000, 8_080, 1, 0x10, &[])),
            ]),
            [
                name(Source::Dns, "10.0.0.9 tv"),
                name(Source::Mdns, "10.0.0.9 tv"),
                name(Source::Arp, &format!("10.0.0.9 {}", Mac([2, 0, 0, 0, 0, 9]))),
                name(Source::Http, "192.0.2.2 a.example"),
            ]
        );
    }

    #[test]
    fn a_tunnel_is_not_looked_into() {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let inner = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 6, &tcp(4_000, 80, 1, 0x18, request));
        assert!(heard(&[packet(4, &inner), packet(17, &udp(1, 4_789, &inner))]).is_empty());
    }

    #[test]
    fn no_two_dissectors_want_the_same() {
        for (number, one) in DISSECTORS.iter().enumerate() {
            for other in &DISSECTORS[..number] {
                assert_ne!(one.wants, other.wants);
                if let (Wants::Udp(ports), Wants::Udp(others)) = (one.wants, other.wants) {
                    assert!(ports.iter().all(|port| !others.contains(port)), "{}", one.name);
                }
            }
        }
    }
}
