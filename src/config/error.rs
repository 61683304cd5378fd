//! What can go wrong with a configuration: its facts, its sentence for people, and its exit code.
#![allow(missing_docs)] // The sentence of a variant says what it is, and what its fields are.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

use crate::failure::{Coded, Exit};

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{path}: {}", reading(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{place}: not valid TOML: {}", source.message().replace('\n', ", "))]
    Syntax { place: Place, source: toml::de::Error },
    /// `problem` says what was expected and what was found. There is no place if the default of
    /// this key does not go with another one's value.
    #[error("{}: {section}.{name}: {problem}", shown(place.as_ref()))]
    Value { place: Option<Place>, section: String, name: String, problem: String },
}

/// A line of a file, displayed as "file:line".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub path: PathBuf,
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Read { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied => Exit::Permission,
                ErrorKind::InvalidData => Exit::Config,
                _ => Exit::NoInput,
            },
            Error::Syntax { .. } | Error::Value { .. } => Exit::Config,
        }
    }
}

fn shown(place: Option<&Place>) -> String {
    place.map_or_else(|| "configuration".to_owned(), Place::to_string)
}

fn reading(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file; check the path",
        ErrorKind::PermissionDenied => "you may not read it; check its permissions (ls -ld)",
        ErrorKind::InvalidData => "is not UTF-8 text",
        ErrorKind::NotADirectory => {
            "is not a directory; make it one for files *.toml, or remove it"
        }
        ErrorKind::IsADirectory => "is a directory; name the file in it",
        _ => return error.to_string(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::failure::Failure;
    use toml::de::DeTable;

    #[test]
    fn an_error_has_a_code_a_sentence_and_its_cause() {
        let place = || Place { path: "x.toml".into(), line: 3 };
        let read = |kind: ErrorKind| Error::Read { path: "x.toml".into(), source: kind.into() };
        let toml = DeTable::parse("= 1").unwrap_err();
        let words = toml.message().replace('\n', ", ");
        for (error, exit, sentence) in [
            (read(ErrorKind::NotFound), Exit::NoInput, "x.toml: no such file; check the path"),
            (read(ErrorKind::InvalidData), Exit::Config, "x.toml: is not UTF-8 text"),
            (
                Error::Syntax { place: place(), source: toml },
                Exit::Config,
                &format!("x.toml:3: not valid TOML: {words}"),
            ),
        ] {
            assert_eq!((error.exit(), &*error.to_string()), (exit, sentence));
            assert!(error.source().is_some(), "{error:?}");
            assert_eq!(Failure::from(error), Failure::new(exit, sentence));
        }
        let tiers = |place| {
            let (section, name) = ("history".to_owned(), "keep".to_owned());
            Error::Value { place, section, name, problem: "odd".to_owned() }.to_string()
        };
        assert_eq!(tiers(None), "configuration: history.keep: odd");
        assert_eq!(tiers(Some(place())), "x.toml:3: history.keep: odd");
    }
}
