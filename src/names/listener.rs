//! From frames to claims: the table of dissectors, and what has to remember earlier packets.

use super::claim::{Packet, Sink};
use super::locate::{Carries, locate};
use super::quic::Initials;
use super::streams::Streams;
use super::{arp, dhcp, dhcp6, dns, nbdgm, nbns, ndp};
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
    Dissector { name: "ndp", wants: Wants::All(Carries::Icmpv6), read: ndp::read },
    Dissector { name: "arp", wants: Wants::All(Carries::Arp), read: arp::read },
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
