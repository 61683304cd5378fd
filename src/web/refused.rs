//! The refusal of a request: its HTTP status, the sentence for the client, and with 405 the methods
//! that are allowed.

/// An HTTP status and a sentence for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub status: u16,
    pub why: &'static str,
    /// With 405: the methods that are allowed.
    pub allow: &'static str,
}

impl Refused {
    pub(crate) const fn new(status: u16, why: &'static str) -> Refused {
        Refused { status, why, allow: "" }
    }
}

/// Of a request that cannot be read, or could be read in two ways.
pub(super) const MALFORMED: Refused = Refused::new(400, "The request is malformed.");
