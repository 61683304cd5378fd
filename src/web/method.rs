//! The methods of requests, and which of them a path takes.

use super::refused::Refused;

/// The methods that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    /// A GET whose answer has no body.
    Head,
    Post,
}

/// What a path takes: at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takes {
    /// GET and HEAD.
    pub get: bool,
    /// POST, with a body of so many bytes at most.
    pub post: Option<usize>,
}

impl Takes {
    /// GET and HEAD, and no body.
    pub(crate) const GET: Takes = Takes { get: true, post: None };

    /// Whether it includes a method.
    pub(super) fn includes(self, method: Method) -> bool {
        match method {
            Method::Get | Method::Head => self.get,
            Method::Post => self.post.is_some(),
        }
    }

    /// What either takes.
    pub(super) fn or(self, other: Takes) -> Takes {
        Takes { get: self.get || other.get, post: self.post.max(other.post) }
    }

    /// The methods for people: HEAD goes without saying.
    pub(super) fn name(self) -> &'static str {
        match (self.get, self.post) {
            (false, Some(_)) => "POST",
            (true, Some(_)) => "GET, POST",
            (_, None) => "GET",
        }
    }

    /// The method of this name (they are case-sensitive, RFC 9110, 9.1), and the bytes that a body
    /// may have.
    pub(super) fn method(self, name: &str) -> Result<(Method, usize), Refused> {
        match (name, self.post) {
            ("GET", _) if self.get => Ok((Method::Get, 0)),
            ("HEAD", _) if self.get => Ok((Method::Head, 0)),
            ("POST", Some(most)) => Ok((Method::Post, most)),
            _ => Err(self.not_allowed()),
        }
    }

    /// The refusal of other methods. It must name those that are allowed (RFC 9110, 15.5.6).
    fn not_allowed(self) -> Refused {
        let (allow, why) = match (self.get, self.post) {
            (false, Some(_)) => ("POST", "Only POST is served here."),
            (true, Some(_)) => ("GET, HEAD, POST", "Only GET, HEAD and POST are served here."),
            (_, None) => ("GET, HEAD", "Only GET and HEAD are served here."),
        };
        Refused { status: 405, why, allow }
    }
}
