//! Capture files: pcap in microseconds or nanoseconds and either byte order, pcapng, packed with
//! gzip or not, `-` for standard input. Reads all that libpcap reads, and pcapng files whose
//! interfaces differ. `brightstat report` reads each file on a capture thread.

use std::path::Path;
use std::sync::Arc;

use pcap::{Capture, Linktype, Offline, Packet, Precision};

use super::error::{Damage, Error};
use super::input::{self, Found};
use super::pcapng::{LinkTypes, Prefix};
use super::{SEPARATOR, link_type_name, timestamp};
use crate::decode::{LinkLayer, NO_TIME, PacketRecord, decode};
use crate::ring::Sender;

/// An opened capture file.
pub struct CaptureFile {
    capture: Capture<Offline>,
    name: String,
    has_prefixes: bool,
    is_packed: bool,
    found: Arc<Found>,
}

/// The outcome of reading a file.
pub struct Outcome {
    /// libpcap's names of the link types, with commas between them, in the order of their first
    /// frames; those of the file's interfaces if there was no frame.
    pub link_types: String,
    /// Whether the file could be read to its end; if not, all frames before the damage have
    /// been sent.
    pub end: Result<(), Error>,
}

impl CaptureFile {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// A file that is missing or not readable, and one that is not a capture.
    pub fn open(path: &Path) -> Result<CaptureFile, Error> {
        let name = path.display().to_string();
        let input = input::open(path, &name)?;
        let opened = Capture::from_file_with_precision(&input.path, Precision::Nano);
        // libpcap now has the pipe open itself.
        drop(input.pipe);
        let capture = match opened {
            Ok(capture) => capture,
            Err(source) => {
                return Err(match input.found.take_damage() {
                    Some(source) => Error::Damaged { name, source },
                    None => Error::Format { name, source },
                });
            }
        };
        let (has_prefixes, is_packed) = (input.has_prefixes, input.is_packed);
        Ok(CaptureFile { capture, name, has_prefixes, is_packed, found: input.found })
    }

    /// libpcap's name of the link type, unless only the frames say it.
    pub fn link_type(&self) -> Option<String> {
        (!self.has_prefixes).then(|| link_type_name(self.capture.get_datalink()))
    }

    /// Whether the length of the file says little about its contents.
    pub fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// Reads the file to its end, waiting where the ring is full. `hear` gets each frame with its
    /// record; compiled for one that does nothing, it costs nothing.
    pub fn read(mut self, ring: &mut Sender, hear: impl FnMut(&[u8], &PacketRecord)) -> Outcome {
        let (end, mut seen) = if self.has_prefixes {
            self.prefixed_frames(ring, hear)
        } else {
            self.frames(ring, hear)
        };
        if seen.is_empty() && self.has_prefixes {
            seen.extend(self.found.link_types().into_iter().map(dlt));
        }
        let names: Vec<String> =
            seen.into_iter().map(|link| link_type_name(Linktype(link))).collect();
        // The thread that feeds libpcap knows more of it.
        let end = self.found.take_damage().map_or(end, Err);
        let end = end.map_err(|source| Error::Ends { name: self.name, source });
        Outcome { link_types: names.join(SEPARATOR), end }
    }

    /// Reads frames of the only link type.
    fn frames(
        &mut self,
        ring: &mut Sender,
        mut hear: impl FnMut(&[u8], &PacketRecord),
    ) -> (Result<(), Damage>, Vec<i32>) {
        let link_type = self.capture.get_datalink().0;
        // Compiled once for Ethernet alone: six instructions a frame less, measured.
        let end = match LinkLayer::from_dlt(link_type) {
            LinkLayer::Ethernet => self.each(ring, |packet, _, slot| {
                let time = timestamp(packet.header, Precision::Nano);
                decode(LinkLayer::Ethernet, packet.data, packet.header.len, time, slot);
                hear(packet.data, slot);
            }),
            link => self.each(ring, |packet, _, slot| {
                let time = timestamp(packet.header, Precision::Nano);
                decode(link, packet.data, packet.header.len, time, slot);
                hear(packet.data, slot);
            }),
        };
        (end, vec![link_type])
    }

    /// Reads frames that each carry their link type.
    fn prefixed_frames(
        &mut self,
        ring: &mut Sender,
        mut hear: impl FnMut(&[u8], &PacketRecord),
    ) -> (Result<(), Damage>, Vec<i32>) {
        let mut seen = LinkTypes::default();
        // The link type of the last frame, which is mostly that of the next one.
        let (mut link_type, mut link) = (None, LinkLayer::Unknown);
        let end = self.each(ring, |packet, last, slot| {
            let Some((prefix, frame)) = Prefix::split(packet.data) else { return };
            if link_type != Some(prefix.link_type) {
                link_type = Some(prefix.link_type);
                link = LinkLayer::from_dlt(dlt(prefix.link_type));
                seen.add(prefix.link_type);
            }
            // A frame without a time gets that of the frame before.
            let time =
                if prefix.has_time { timestamp(packet.header, Precision::Nano) } else { last };
            decode(link, frame, prefix.wire_len, time, slot);
            slot.captured_len = prefix.captured_len;
            hear(frame, slot);
        });
        (end, seen.all().iter().map(|link_type| dlt(*link_type)).collect())
    }

    /// Passes each packet to `take`, with the time of the one before and the slot for its record.
    #[inline(always)]
    fn each(
        &mut self,
        ring: &mut Sender,
        mut take: impl FnMut(&Packet<'_>, i64, &mut PacketRecord),
    ) -> Result<(), Damage> {
        let mut last = NO_TIME;
        loop {
            let capture = &mut self.capture;
            let read = ring.fill(|slots| {
                let mut used = 0_usize;
                let read = capture.dispatch(Some(slots.len()), |packet| {
                    let before = used.checked_sub(1).and_then(|at| slots.get(at));
                    let before = before.map_or(last, |slot| slot.timestamp);
                    // libpcap hands over no more than it was asked for.
                    if let Some(slot) = slots.get_mut(used) {
                        used += 1;
                        take(&packet, before, slot);
                    }
                });
                last = used.checked_sub(1).map_or(last, |at| slots[at].timestamp);
                (used, read)
            });
            ring.wake_if_filling();
            match read {
                None if ring.wait_for_room() => {}
                None | Some(Ok(0)) => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(Damage::Frames(e)),
            }
        }
    }
}

/// libpcap's number for a link type in files; they differ where systems did.
fn dlt(link_type: u16) -> i32 {
    match link_type {
        100 => 11, // ATM, RFC 1483
        101 => 12, // IP
        other => i32::from(other),
    }
}
