//! What keeps the daemon, or a reload of it, from going on: facts, sentence for people, exit code.
#![allow(missing_docs)] // The sentence of a variant says what it is, and what its fields are.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use crate::capture::Trouble;
use crate::capture::error::clause;
use crate::config::{self, Place};
use crate::failure::{Coded, Exit};
use crate::store;

/// Why the daemon cannot start, or go on with another configuration.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(
        "{}capture.filter: \"{filter}\": {}; see pcap-filter(7)",
        place.as_ref().map_or_else(String::new, |place| format!("{place}: ")), clause(source)
    )]
    Filter { place: Option<Place>, filter: String, source: pcap::Error },
    #[error("{name}: there is no such interface; there are {}", known.join(", "))]
    NoInterface { name: String, known: Vec<String> },
    #[error("{name}: {}{source}", match source {
        Trouble::NoPermission => "",
        _ => "cannot capture with these settings of [capture]: ",
    })]
    Interface { name: String, source: Trouble },
    #[error("cannot watch for signals: {0}")]
    Signals(#[source] Errno),
    #[error("{name}: cannot watch for the stop signal: {source}")]
    Orders { name: String, source: Errno },
    #[error("cannot start the {name} thread: {source}")]
    Thread { name: String, source: io::Error },
    #[error("the store thread ended badly")]
    StoreThread,
    #[error(
        "socket {number} that systemd hands over: {source}; brightstat.socket may have \
         ListenStream= lines with ports only"
    )]
    Inherited { number: usize, source: io::Error },
    #[error("{address}: {}", listening(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "{path}: cannot make the directory for the database: {source}; make it, or set \
         history.database"
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "{path}: a part of this path is a symbolic link, which root does not follow to give files \
         away; set history.database to the path without links"
    )]
    Link { path: PathBuf },
    #[error("cannot give up root ({what}): {source}")]
    Root { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("daemon.user: there is no user '{user}'; make it (useradd --system) or name another")]
    NoUser { user: String },
    #[error("daemon.user: there is neither a user _brightstat nor nobody; name one")]
    NoUsualUser,
    #[error("the daemon has not answered within a minute; see 'journalctl -u brightstat'")]
    NoAnswer,
    /// The daemon's answer to a reload.
    #[error("{answer}")]
    Reload { exit: Exit, answer: String },
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Config(error) => error.exit(),
            Error::Store(error) => error.exit(),
            Error::NoInterface { .. } => Exit::NoInput,
            Error::Interface { source: Trouble::NoPermission, .. }
            | Error::Directory { .. }
            | Error::Root { .. } => Exit::Permission,
            Error::Listen { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Error::Interface { .. }
            | Error::Signals(_)
            | Error::Orders { .. }
            | Error::Thread { .. }
            | Error::StoreThread
            | Error::Listen { .. }
            | Error::NoAnswer => Exit::Unavailable,
            Error::Filter { .. }
            | Error::Inherited { .. }
            | Error::Link { .. }
            | Error::NoUser { .. }
            | Error::NoUsualUser => Exit::Config,
            Error::Reload { exit, .. } => *exit,
        }
    }
}

fn listening(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "the port is taken; stop the other program ('ss -ltnp' names it) or set web.listen to \
             another port"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need root; run as root, or use a higher one (--listen [::]:8667)"
        }
        // RestrictAddressFamilies= of the service.
        _ if error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) => {
            "this process may not open sockets; start the one that holds the listener: \
             'systemctl start brightstat.socket'"
        }
        _ => return format!("cannot listen: {error}; check web.listen"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::failure::Failure;

    #[test]
    fn an_error_has_a_code_a_sentence_and_its_cause() {
        let listen = |source| Error::Listen { address: ([0, 0, 0, 0], 80).into(), source };
        let interface = |source| Error::Interface { name: "eth0".to_owned(), source };
        for (error, exit, sentence) in [
            (
                listen(ErrorKind::PermissionDenied.into()),
                Exit::Permission,
                "0.0.0.0:80: ports below 1024 need root; run as root, or use a higher one \
                 (--listen [::]:8667)",
            ),
            (
                listen(io::Error::from(Errno::EAFNOSUPPORT)),
                Exit::Unavailable,
                "0.0.0.0:80: this process may not open sockets; start the one that holds the \
                 listener: 'systemctl start brightstat.socket'",
            ),
            (
                interface(Trouble::Down),
                Exit::Unavailable,
                "eth0: cannot capture with these settings of [capture]: the interface is down \
                 ('ip link set up' brings it up)",
            ),
            (
                interface(Trouble::NoPermission),
                Exit::Permission,
                "eth0: no permission to capture: run as root or with the capability CAP_NET_RAW",
            ),
            (
                Error::Filter {
                    place: Some(Place { path: "x.toml".into(), line: 3 }),
                    filter: "prot 22".to_owned(),
                    source: pcap::Error::PcapError("syntax error".to_owned()),
                },
                Exit::Config,
                "x.toml:3: capture.filter: \"prot 22\": syntax error; see pcap-filter(7)",
            ),
        ] {
            assert_eq!((error.exit(), &*error.to_string()), (exit, sentence));
            assert!(error.source().is_some(), "{error:?}");
            assert_eq!(Failure::from(error), Failure::new(exit, sentence));
        }
    }
}
