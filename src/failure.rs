//! What the program says when it cannot go on, and the exit code that goes with it.
//!
//! Codes follow sysexits(3), so that systemd and scripts can tell a bad configuration
//! (do not restart) from a passing trouble (do).

use std::fmt;

/// Exit codes of sysexits(3) that are used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// EX_USAGE: the command line makes no sense.
    Usage = 64,
    /// EX_DATAERR: an input file is damaged or not a capture.
    Data = 65,
    /// EX_NOINPUT: an input file or interface does not exist or cannot be read.
    NoInput = 66,
    /// EX_UNAVAILABLE: something that is needed is not to be had, as a port that is taken.
    Unavailable = 69,
    /// EX_CANTCREAT: an output file is there already.
    CantCreate = 73,
    /// EX_IOERR: reading or writing failed.
    Io = 74,
    /// EX_NOPERM: the system does not allow it.
    Permission = 77,
    /// EX_CONFIG: the configuration is wrong.
    Config = 78,
}

/// An error for the person at the terminal: one line, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code and message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
