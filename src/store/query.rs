//! Reading the history: a question to an answer.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::question::{Answer, Question};
use crate::failure::{Exit, Failure};

/// The history, opened for reading only.
pub struct History {
    #[allow(dead_code)]
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// There is none, it may not be read, or it is another program's or a newer version's.
    pub fn open(path: &Path) -> Result<History, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|e| Failure::new(Exit::NoInput, format!("{}: {e}", path.display())))?;
        Ok(History { connection, path: path.to_owned() })
    }

    /// Answers a question.
    ///
    /// # Errors
    /// A tier or a row of that name is not there, or the file cannot be read.
    pub fn ask(&self, _question: &Question) -> Result<Answer, Failure> {
        Err(Failure::new(Exit::Unavailable, format!("{}: not yet", self.path.display())))
    }
}
