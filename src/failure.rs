//! Errors for people, and their exit codes.
//!
//! Codes follow sysexits(3), so that systemd and scripts can tell a bad configuration
//! (do not restart) from a passing trouble (do).

use std::borrow::Cow;
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
    /// EX_UNAVAILABLE: something needed is unavailable, such as a port that is taken.
    Unavailable = 69,
    /// EX_CANTCREAT: an output file exists already.
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

/// An error of a module, with its facts and its cause. Displayed, it is the sentence for people.
pub trait Coded: std::error::Error {
    /// The exit code of a program that it ends.
    fn exit(&self) -> Exit;
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(error.exit(), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable_lines(&self.message))
    }
}

impl std::error::Error for Failure {}

/// Makes text safe for a terminal, a log or a spreadsheet. Control characters (C0, DEL, C1:
/// ECMA-48) and characters that reorder text (Unicode's bidirectional controls) become escapes
/// such as `\u001b`, which are valid inside JSON as well.
///
/// Names come from strangers: from capture files, from databases, soon from the network. An
/// escape sequence in one could rewrite the screen, or answer for the person at the keyboard.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same for whole texts: line feeds, carriage returns and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\r' | '\t'))
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_harmless = |c: char| stays(c) || !(c.is_control() || reorders(c));
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_harmless(c) {
            true => safe.push(c),
            false => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
}

/// The controls of Unicode Standard Annex 9, table 1, and the line separators, which are like
/// C1's NEL.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_written_out_and_other_text_is_left_alone() {
        assert_eq!(printable("\x1b]0;title\x07\x1b[2J"), "\\u001b]0;title\\u0007\\u001b[2J");
        assert_eq!(printable("\u{9b}31m\u{202e}gpj.exe"), "\\u009b31m\\u202egpj.exe");
        assert_eq!(printable("a\nb"), "a\\u000ab");
        assert_eq!(printable_lines("a\tb\r\n\u{7f}"), "a\tb\r\n\\u007f");
        assert!(matches!(printable("Küche, Fernseher 📺"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_json_text_stays_one_with_the_same_value() {
        let name = "tv\u{9b}31m\u{7f}\u{202e}\x1b";
        let json = serde_json::to_string(name).unwrap();
        let safe = printable_lines(&json);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), name);
        assert!(!safe.contains('\u{9b}'));
    }
}
