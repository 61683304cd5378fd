//! Service ports: TCP, UDP and SCTP, 65,536 each.

use super::flows::NO_SLOT;
use super::ledger::{Ledger, Rows};
use super::volume::{Split, Volume};
use crate::decode::{PacketRecord, protocol};

/// The transport protocols whose ports are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol (RFC 9260).
    Sctp,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Sctp];

    /// The transport of that name, in lower case.
    pub fn named(name: &str) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// The transport with that IP protocol number.
    pub fn numbered(number: u8) -> Option<Transport> {
        Transport::ALL.into_iter().find(|transport| transport.number() == number)
    }

    /// The name in reports, the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }

    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
            Transport::Sctp => protocol::SCTP,
        }
    }
}

/// A service port of a transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PortKey {
    /// TCP, UDP or SCTP.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

/// Three protocols' ports, rounded up to a power of two: indexing needs no bounds check.
const PORT_KEYS: usize = 4 * 65_536;

/// The ports. No row is ever folded: what no row holds are the frames without a port.
pub(super) type Ports = Ledger<PortTable, Volume, 1>;

/// The counters by service port. There is room for every port: none is ever folded.
///
/// Rows are packed, as most networks use few ports. An array of all ports holds the slots of the
/// rows: 1 MiB, of which the system provides the pages that are touched. A hash index would take 30
/// instructions more per look-up, and twice the memory when full.
pub(super) struct PortTable {
    /// The slot of a port's row plus 1, or 0; UDP after TCP, SCTP after UDP.
    slots: Box<[u32; PORT_KEYS]>,
    rows: Vec<(PortKey, Split<Volume>)>,
}

impl PortTable {
    /// No ports yet.
    pub fn new() -> PortTable {
        // Through a vector: the system zeroes it in place, on first touch.
        let slots = vec![0; PORT_KEYS].into_boxed_slice();
        let Ok(slots) = slots.try_into() else { unreachable!("there are {PORT_KEYS} ports") };
        PortTable { slots, rows: Vec::new() }
    }

    /// The slot of the packet's service port; [`NO_SLOT`] if it has none.
    #[inline]
    pub fn slot(&mut self, record: &PacketRecord) -> u32 {
        let Some(port) = record.service_port() else {
            return NO_SLOT;
        };
        // This maps the three protocols with ports, 6, 17 and 132, to 0, 1 and 2.
        let transport = record.protocol() >> 6 | record.protocol() & 1;
        let place = usize::from(transport) << 16 | usize::from(port);
        match self.slots[place] {
            0 => self.add(place),
            known => known - 1,
        }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, place: usize) -> u32 {
        let transport = match place >> 16 {
            0 => Transport::Tcp,
            1 => Transport::Udp,
            _ => Transport::Sctp,
        };
        self.rows.push((PortKey { transport, port: place as u16 }, Split::default()));
        let count = self.rows.len() as u32;
        self.slots[place] = count;
        count - 1
    }

    /// The counter in `slot`; `None` for [`NO_SLOT`].
    #[inline]
    pub fn get(&mut self, slot: u32) -> Option<&mut Split<Volume>> {
        self.rows.get_mut(slot as usize).map(|(_, split)| split)
    }

    /// The port whose counter is in `slot`.
    pub fn key(&self, slot: u32) -> Option<PortKey> {
        self.rows.get(slot as usize).map(|(key, _)| *key)
    }
}

impl Rows for PortTable {
    type Key = PortKey;
    type Row = Split<Volume>;

    fn iter(&self) -> impl ExactSizeIterator<Item = (&PortKey, &Split<Volume>)> {
        self.rows.iter().map(|(key, split)| (key, split))
    }

    fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&PortKey, &mut Split<Volume>)> {
        self.rows.iter_mut().map(|(key, split)| (&*key, split))
    }
}

impl Default for PortTable {
    fn default() -> PortTable {
        PortTable::new()
    }
}

/// A service, by which hosts' traffic is split.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Service {
    /// TCP, UDP or SCTP, with a service port.
    Port(PortKey),
    /// An IP protocol without ports, as in [`super::ProtocolRow`].
    Protocol(u16),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{LinkLayer, decode};

    #[test]
    fn every_port_of_each_transport_has_its_own_row() {
        let mut ports = PortTable::new();
        let mut frame = [0; 40];
        frame[0] = 0x45;
        frame[3] = 40;
        let mut seen = std::collections::HashSet::new();
        for transport in Transport::ALL {
            frame[9] = transport.number();
            for port in [0_u16, 1, 53, 65_535] {
                frame[20..22].copy_from_slice(&port.to_be_bytes());
                frame[22..24].copy_from_slice(&u16::MAX.to_be_bytes());
                let mut record = PacketRecord::default();
                decode(LinkLayer::RawIp, &frame, 40, 0, &mut record);
                let slot = ports.slot(&record);
                assert_eq!(ports.slot(&record), slot);
                assert!(seen.insert(slot));
                let (key, _) = ports.iter().nth(slot as usize).unwrap();
                assert_eq!(*key, PortKey { transport, port });
            }
        }
        assert_eq!(ports.slot(&PacketRecord::default()), NO_SLOT);
        assert!(ports.get(NO_SLOT).is_none());
    }
}
