//! The bytes of a capture file: from a file or a pipe, packed with gzip or not.
//!
//! libpcap reads from a path or a descriptor. Input that must be changed first (gzip, and pcapng,
//! see [`pcapng`]) goes through a pipe: a thread of its own feeds it, and libpcap opens it by its
//! name in /proc. So a file of any length needs a few buffers. When the reader gives up, the thread
//! ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::GzDecoder;

use super::error::{Damage, Error};
use super::pcapng::{self, LinkTypes};

const BUFFER: usize = 64 << 10;

/// An input that is ready for libpcap.
pub(super) struct Input {
    /// The path that libpcap opens.
    pub path: PathBuf,
    /// Keeps the pipe behind `path` open until libpcap has opened it.
    pub pipe: Option<PipeReader>,
    /// Whether frames have a [`pcapng::Prefix`].
    pub has_prefixes: bool,
    /// Whether it is packed: its length says little about its frames.
    pub is_packed: bool,
    /// Findings of the thread that feeds the pipe.
    pub found: Arc<Found>,
}

/// Findings while a pipe is fed; complete when libpcap sees its end.
#[derive(Default)]
pub(super) struct Found {
    link_types: Mutex<LinkTypes>,
    damage: Mutex<Option<Damage>>,
}

impl Found {
    /// The link types of the interfaces in a pcapng file, each once, in the order of the file.
    pub(super) fn link_types(&self) -> Vec<u16> {
        self.link_types.lock().unwrap_or_else(PoisonError::into_inner).all().to_vec()
    }

    /// Why the input could not be read to its end; a second call gets nothing.
    pub(super) fn take_damage(&self) -> Option<Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, link_type: u16) {
        self.link_types.lock().unwrap_or_else(PoisonError::into_inner).add(link_type);
    }
}

/// Opens an input and reads its first bytes.
///
/// # Errors
/// A file that is missing, not readable, empty, or packed in a way that is not known here.
pub(super) fn open(path: &Path, name: &str) -> Result<Input, Error> {
    let unreadable = |source| Error::Read { name: name.to_owned(), source };
    let (mut file, is_regular) = if name == "-" {
        let own = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        (File::from(own), false)
    } else {
        open_file(path, name)?
    };
    let empty = || Error::Empty { name: name.to_owned() };
    let start = beginning(&mut file).map_err(unreadable)?;
    if start.is_empty() {
        return Err(empty());
    }
    if let Some((kind, remedy)) = packed_otherwise(&start) {
        return Err(Error::Packed { name: name.to_owned(), kind, remedy });
    }
    let is_packed = start.starts_with(&[0x1f, 0x8b]);
    let has_prefixes = pcapng::is_pcapng(&start);
    if is_regular && !is_packed && !has_prefixes && path.to_str().is_some() {
        let (path, found) = (path.to_owned(), Arc::default());
        return Ok(Input { path, pipe: None, has_prefixes, is_packed, found });
    }
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(file));
    if !is_packed {
        return feed(whole, has_prefixes, is_packed, name);
    }
    let mut unpacked = Members::new(whole);
    let damaged = |e| Error::Damaged { name: name.to_owned(), source: Damage::Packed(e) };
    let start = beginning(&mut unpacked).map_err(damaged)?;
    if start.is_empty() {
        return Err(empty());
    }
    let has_prefixes = pcapng::is_pcapng(&start);
    feed(Cursor::new(start).chain(unpacked), has_prefixes, is_packed, name)
}

/// Opens a file. Returns whether it can be opened again by its name, too.
fn open_file(path: &Path, name: &str) -> Result<(File, bool), Error> {
    // libpcap's messages do not distinguish a missing file from a damaged one.
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) =
        opened.map_err(|source| Error::Open { name: name.to_owned(), source })?;
    if metadata.is_dir() {
        return Err(Error::Directory { name: name.to_owned() });
    }
    Ok((file, metadata.is_file()))
}

/// The first bytes, at most 6: enough to recognise the format.
fn beginning(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(6);
    input.take(6).read_to_end(&mut start)?;
    Ok(start)
}

/// The name of a packing that is not supported, and the command that unpacks it.
fn packed_otherwise(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const WAYS: [(&[u8], &str, &str); 4] = [
        (b"\x28\xb5\x2f\xfd", "Zstandard", "unzstd FILE"),
        (b"\xfd7zXZ\0", "xz", "unxz FILE"),
        (b"\x04\x22\x4d\x18", "LZ4", "unlz4 FILE"),
        (b"BZh", "bzip2", "bunzip2 FILE"),
    ];
    let way = WAYS.into_iter().find(|(magic, _, _)| start.starts_with(magic));
    way.map(|(_, kind, remedy)| (kind, remedy))
}

/// Starts the thread that feeds the pipe.
fn feed(
    mut from: impl Read + Send + 'static,
    has_prefixes: bool,
    is_packed: bool,
    name: &str,
) -> Result<Input, Error> {
    let unable = |source| Error::Pipe { name: name.to_owned(), source };
    let (pipe, writer) = io::pipe().map_err(unable)?;
    let found = Arc::new(Found::default());
    let told = found.clone();
    let work = move || {
        let mut to = BufWriter::with_capacity(BUFFER, writer);
        let done = if has_prefixes {
            pcapng::level(&mut from, &mut to, |link_type| told.note(link_type))
        } else {
            io::copy(&mut from, &mut to).map(|_| ())
        };
        // Frames before the damage are to be counted.
        let done = done.and(to.flush());
        // Broken pipe: libpcap gave up, and says why.
        let damage = done.err().filter(|e| e.kind() != ErrorKind::BrokenPipe);
        *told.damage.lock().unwrap_or_else(PoisonError::into_inner) =
            damage.map(if is_packed { Damage::Packed } else { Damage::Input });
        // Close the pipe last: `found` is complete.
        drop(to);
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(work).map_err(unable)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()));
    Ok(Input { path, pipe: Some(pipe), has_prefixes, is_packed, found })
}

/// The members of a gzip file, one after the other (RFC 1952, section 2.2). Anything behind the
/// last one is left out, as gzip does.
struct Members<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(packed: R) -> Members<R> {
        Members { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            if let Some(mut rest) = self.member.take().map(GzDecoder::into_inner)
                && rest.fill_buf()?.first() == Some(&0x1f)
            {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}
