//! Capture files: pcap in microseconds or nanoseconds and either byte order, pcapng, `-`
//! for standard input. Whatever libpcap reads.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use pcap::{Capture, Offline, Precision};

use super::{BATCH, link_type_name, timestamp};
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
                        format!("{name}: you may not read this file; check its permissions (ls -l)"),
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

    /// Reads the file to its end, waiting where the ring is full. `progress` is kept at
    /// the number of file bytes read so far.
    ///
    /// # Errors
    /// A file that is damaged or cut short; all frames before the damage have been sent.
    pub fn read(mut self, ring: &mut Sender, progress: &AtomicU64) -> Result<(), Failure> {
        let link = self.link;
        // Simple packet blocks of pcapng have no time stamp; libpcap says 0 then. It calls
        // classic capture files version 2, pcapng version 1.
        let is_pcapng = self.capture.major_version() == 1;
        let mut wanted = true;
        loop {
            let mut bytes = 0;
            let read = self.capture.dispatch(Some(BATCH), |packet| {
                let header = packet.header;
                let time = match timestamp(header, Precision::Nano) {
                    0 if is_pcapng => NO_TIME,
                    time => time,
                };
                wanted &= ring.send(decode(link, packet.data, header.len, time));
                // A classic capture file has 16 bytes of header per frame.
                bytes += 16 + u64::from(header.caplen);
            });
            ring.wake_if_filling();
            progress.fetch_add(bytes, Ordering::Relaxed);
            match read {
                Ok(0) => return Ok(()),
                Ok(_) if !wanted => return Ok(()),
                Ok(_) => {}
                Err(e) => {
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
