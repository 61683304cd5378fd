//! Packets for the tests of the dissectors.

use std::net::IpAddr;

use super::claim::{Claim, Packet, Sink, Trait};
use crate::decode::{Mac, NO_TIME};

/// Whose frames the samples are.
pub(super) const SENDER: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// A packet from 10.0.0.1 to 10.0.0.2.
pub(super) fn packet(payload: &[u8]) -> Packet<'_> {
    Packet {
        time: NO_TIME,
        mac: SENDER,
        source: IpAddr::from([10, 0, 0, 1]),
        destination: IpAddr::from([10, 0, 0, 2]),
        ports: (0, 0),
        hop_limit: 255,
        payload,
    }
}

/// The claims of a packet, one line each.
pub(super) fn lines(read: impl FnOnce(&Packet<'_>, Sink<'_>), packet: &Packet<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    read(packet, &mut |claim| {
        lines.push(match claim {
            Claim::Name { address, name, is_shared, .. } => {
                format!("{address} {name}{}", if is_shared { " shared" } else { "" })
            }
            Claim::Link { address, mac, .. } => format!("{mac} {address}"),
            Claim::Trait { mac, what, text, .. } => match what {
                Trait::Hostname => format!("{mac} host {text}"),
                Trait::Vendor => format!("{mac} vendor {text}"),
                Trait::Parameters => format!("{mac} parameters {text}"),
                Trait::ClientId => format!("{mac} client {text}"),
                other => format!("{mac} {other:?} {text}"),
            },
        });
    });
    lines
}

/// Reads every beginning of a payload, as captures cut them, and with every byte broken in turn.
/// Returns what the whole one says.
pub(super) fn cut_and_break(
    read: impl Fn(&Packet<'_>, Sink<'_>),
    packet: &Packet<'_>,
) -> Vec<String> {
    for length in 0..packet.payload.len() {
        lines(&read, &Packet { payload: &packet.payload[..length], ..*packet });
    }
    let mut broken = packet.payload.to_vec();
    for at in 0..broken.len() {
        let good = broken[at];
        for bad in [0, 1, 0x7f, 0xc0, 0xff] {
            broken[at] = bad;
            lines(&read, &Packet { payload: &broken, ..*packet });
        }
        broken[at] = good;
    }
    lines(read, packet)
}
