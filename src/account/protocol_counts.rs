//! The counters by IP protocol.

use super::interval::IntervalProtocol;
use super::ledger::{AtClose, Rows};
use super::ports::Ports;
use super::protocols::{PROTOCOL_ROWS, PROTOCOLS};
use super::volume::Volume;

/// The counters by IP protocol. There is room for every protocol: none is ever folded.
pub(super) struct Protocols {
    /// IP packets without a port. Those with one are counted in their port's row.
    pub(super) portless: Box<[Volume; PROTOCOL_ROWS]>,
    /// Totals at the last base close.
    at_base: Box<[Volume; PROTOCOL_ROWS]>,
    at_close: Vec<AtClose<Volume, 1>>,
}

impl Protocols {
    /// No packets yet.
    pub(super) fn new() -> Protocols {
        Protocols {
            portless: Box::new([Volume::default(); PROTOCOL_ROWS]),
            at_base: Box::new([Volume::default(); PROTOCOL_ROWS]),
            at_close: Vec::new(),
        }
    }

    /// All IP packets by row: those without a port, and the sums of the ports' rows.
    pub(super) fn totals(&self, ports: &Ports) -> Box<[Volume; PROTOCOL_ROWS]> {
        let mut all = self.portless.clone();
        for (key, split) in ports.rows.iter() {
            all[usize::from(key.transport.number())] += split.total();
        }
        all
    }

    /// Closes the open fine interval, which was captured for `covered` milliseconds.
    pub(super) fn close_fine(&mut self, ports: &Ports, covered: u64) -> Vec<IntervalProtocol> {
        let now = self.totals(ports);
        self.at_close.resize(PROTOCOLS, AtClose::default());
        let rows = self.at_close.iter_mut().zip(now.iter()).enumerate();
        rows.filter_map(|(number, (at_close, total))| {
            let (volume, [rates]) = at_close.close_fine(*total, covered)?;
            Some(IntervalProtocol { number: number as u16, volume, rates })
        })
        .collect()
    }

    /// Closes the open base interval, which was captured for `covered` milliseconds and had
    /// `intervals` fine ones.
    pub(super) fn close_base(
        &mut self,
        ports: &Ports,
        covered: u64,
        intervals: u32,
    ) -> Vec<IntervalProtocol> {
        let now = self.totals(ports);
        let then = std::mem::replace(&mut self.at_base, now);
        self.at_close.resize(PROTOCOLS, AtClose::default());
        let rows = self.at_close.iter_mut().zip(self.at_base.iter().zip(then.iter())).enumerate();
        rows.filter_map(|(number, (at_close, (now, then)))| {
            let volume = *now - *then;
            let [rates] = at_close.close_base(volume, covered, intervals);
            let number = number as u16;
            (!volume.is_zero()).then_some(IntervalProtocol { number, volume, rates })
        })
        .collect()
    }
}
