//! What can go wrong with a capture: its facts, its sentence for people, and its exit code.
#![allow(missing_docs)] // The sentence of a variant says what it is, and what its fields are.

use std::io::{self, ErrorKind};

use thiserror::Error;

use crate::failure::{Coded, Exit};

/// Why a capture file cannot be read, or not to its end. `name` is its path, `-` for standard input.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{name}: {}", opening(source))]
    Open { name: String, source: io::Error },
    /// Its first bytes cannot be read.
    #[error("{name}: {source}")]
    Read { name: String, source: io::Error },
    #[error("{name}: is a directory; name the capture files in it")]
    Directory { name: String },
    #[error("{name}: empty; a capture file has at least a header")]
    Empty { name: String },
    #[error("{name}: packed with {kind}; unpack it first ('{remedy}')")]
    Packed { name: String, kind: &'static str, remedy: &'static str },
    /// There is no pipe or thread to feed libpcap with.
    #[error("{name}: {source}")]
    Pipe { name: String, source: io::Error },
    #[error(
        "{name}: not a capture file that can be read ({}); brightstat reads pcap and pcapng",
        words(source)
    )]
    Format { name: String, source: pcap::Error },
    /// It is damaged before the first frame.
    #[error("{name}: {source}")]
    Damaged { name: String, source: Damage },
    /// It is damaged further on.
    #[error("{name}: {source}; the frames before that are counted")]
    Ends { name: String, source: Damage },
}

/// A defect inside a capture file.
#[derive(Debug, Error)]
pub enum Damage {
    /// libpcap cannot read on.
    #[error("{}", words(.0))]
    Frames(#[source] pcap::Error),
    /// The input, or a pcapng block in it, cannot be read.
    #[error("{0}")]
    Input(#[source] io::Error),
    #[error("{}", unpacking(.0))]
    Packed(#[source] io::Error),
}

/// Why an interface cannot be captured. Displayed as one clause with the remedy, without the name.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    #[error("there is no such interface (see 'brightstat interfaces')")]
    Absent,
    #[error("the interface is down ('ip link set up' brings it up)")]
    Down,
    #[error("no permission to capture: run as root or with the capability CAP_NET_RAW")]
    NoPermission,
    /// The filter is invalid, or invalid for this link type.
    #[error("{}", clause(.0))]
    Filter(#[source] pcap::Error),
    /// Anything else.
    #[error("{}", clause(.0))]
    Other(#[source] pcap::Error),
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Open { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Error::Open { .. } | Error::Read { .. } | Error::Directory { .. } => Exit::NoInput,
            Error::Pipe { .. } => Exit::Unavailable,
            Error::Empty { .. }
            | Error::Packed { .. }
            | Error::Format { .. }
            | Error::Damaged { .. }
            | Error::Ends { .. } => Exit::Data,
        }
    }
}

fn opening(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file; check the path".to_owned(),
        ErrorKind::PermissionDenied => {
            "you may not read this file; check its permissions (ls -l)".to_owned()
        }
        _ => error.to_string(),
    }
}

fn unpacking(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "the packed data ends too early".to_owned(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the packed data is damaged ({error})")
        }
        _ => error.to_string(),
    }
}

/// libpcap's message without the crate's prefix.
fn words(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// libpcap's message about an interface or a filter, as a clause of a sentence.
pub fn clause(error: &pcap::Error) -> String {
    words(error).trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::failure::Failure;

    #[test]
    fn an_error_has_a_code_a_sentence_and_its_cause() {
        let libpcap = || pcap::Error::PcapError("bad magic".to_owned());
        let name = || "x.pcap".to_owned();
        for (error, exit, sentence) in [
            (
                Error::Open { name: name(), source: ErrorKind::PermissionDenied.into() },
                Exit::Permission,
                "x.pcap: you may not read this file; check its permissions (ls -l)",
            ),
            (
                Error::Format { name: name(), source: libpcap() },
                Exit::Data,
                "x.pcap: not a capture file that can be read (bad magic); brightstat reads pcap and \
                 pcapng",
            ),
            (
                Error::Ends { name: name(), source: Damage::Frames(libpcap()) },
                Exit::Data,
                "x.pcap: bad magic; the frames before that are counted",
            ),
        ] {
            assert_eq!((error.exit(), &*error.to_string()), (exit, sentence));
            assert!(error.source().is_some(), "{error:?}");
            assert_eq!(Failure::from(error), Failure::new(exit, sentence));
        }
        let trouble = Trouble::Filter(pcap::Error::PcapError("syntax error.".to_owned()));
        assert_eq!(trouble.to_string(), "syntax error");
        assert_eq!(trouble.source().unwrap().to_string(), "libpcap error: syntax error.");
    }
}
