//! Capture files: pcap in microseconds or nanoseconds and either byte order, pcapng, `-`
//! for standard input. Whatever libpcap reads.

use std::io::ErrorKind;
use std::path::Path;

use pcap::{Capture, Offline, Precision};

use super::{link_type_name, timestamp};
use crate::decode::{LinkLayer, NO_TIME, decode};
use crate::failure::{Exit, Failure};
use crate::ring::Sender;

/// An opened capture file.
pub struct CaptureFile {
    capture: Capture<Offline>,
    name: String,
    link: LinkLayer,
}

impl CaptureFile {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// A file that is not there or not readable, and one that is not a capture.
    pub fn open(path: &Path) -> Result<CaptureFile, Failure> {
        let name = path.display().to_string();
        if name != "-" {
            // libpcap's own words for a missing file do not tell it from a damaged one.
            let metadata = std::fs::File::open(path).and_then(|file| file.metadata());
            match metadata {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    return Err(Failure::new(
                        Exit::NoInput,
                        format!("{name}: no such file; check the path"),
                    ));
                }
                Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                    return Err(Failure::new(
                        Exit::Permission,
                        format!(
                            "{name}: you may not read this file; check its permissions (ls -l)"
                        ),
                    ));
                }
                Err(e) => return Err(Failure::new(Exit::NoInput, format!("{name}: {e}"))),
                Ok(metadata) if metadata.is_dir() => {
                    return Err(Failure::new(
                        Exit::NoInput,
                        format!("{name}: is a directory; name the capture files in it"),
                    ));
                }
                Ok(_) => {}
            }
        }
        let capture = Capture::from_file_with_precision(path, Precision::Nano).map_err(|e| {
            let message = match e.to_string() {
                e if e.contains("unknown file format") => {
                    format!("{name}: not a capture file; brightstat reads pcap and pcapng")
                }
                e => format!("{name}: {}; not a capture that libpcap can read", plain(&e)),
            };
            Failure::new(Exit::Data, message)
        })?;
        let link = LinkLayer::from_dlt(capture.get_datalink().0);
        Ok(CaptureFile { capture, name, link })
    }

    /// libpcap's name of the link type.
    pub fn link_type(&self) -> String {
        link_type_name(self.capture.get_datalink())
    }

    /// Reads the file to its end, waiting where the ring is full.
    ///
    /// # Errors
    /// A file that is damaged or cut short; all frames before the damage have been sent.
    pub fn read(mut self, ring: &mut Sender) -> Result<(), Failure> {
        let link = self.link;
        // Simple packet blocks of pcapng have no time stamp; libpcap says 0 then, and they
        // are taken to follow the frame before. libpcap calls classic capture files
        // version 2, pcapng version 1.
        let is_pcapng = self.capture.major_version() == 1;
        let mut last = NO_TIME;
        loop {
            let capture = &mut self.capture;
            let read = ring.fill(|slots| {
                let mut used = 0_usize;
                let read = capture.dispatch(Some(slots.len()), |packet| {
                    let mut time = timestamp(packet.header, Precision::Nano);
                    if time == 0 && is_pcapng {
                        time = used.checked_sub(1).map_or(last, |at| slots[at].timestamp);
                    }
                    // libpcap hands over no more than it was asked for.
                    if let Some(slot) = slots.get_mut(used) {
                        used += 1;
                        decode(link, packet.data, packet.header.len, time, slot);
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
                Some(Err(e)) => {
                    return Err(Failure::new(
                        Exit::Data,
                        format!(
                            "{}: {}; the frames before that are counted",
                            self.name,
                            plain(&e.to_string())
                        ),
                    ));
                }
            }
        }
    }
}

/// libpcap's message without the crate's prefix.
fn plain(message: &str) -> &str {
    message.strip_prefix("libpcap error: ").unwrap_or(message)
}
