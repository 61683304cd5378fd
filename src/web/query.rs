//! The query of a request: the part after the question mark, decoded when it is asked for.

use std::borrow::Cow;

/// Parameters, in the form of a URL (application/x-www-form-urlencoded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(String);

impl Query {
    /// As it came: the key of cached answers.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// All parameters, decoded, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.0.as_bytes())
    }

    /// The value of a parameter; of the first one if it is there twice.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.all().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Query {
        Query(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::from("name=fe80%3A%3A1&what=a+b%26c&name=other&flag&=x&%ff=%00");
        assert_eq!(query.get("name").as_deref(), Some("fe80::1"));
        assert_eq!(query.get("what").as_deref(), Some("a b&c"));
        assert_eq!(query.get("flag").as_deref(), Some(""));
        assert_eq!(query.get(""), Some("x".into()));
        assert_eq!(query.get("\u{fffd}"), Some("\0".into()));
        assert_eq!(query.get("nothing"), None);
        assert_eq!(Query::default().all().count(), 0);
    }
}
