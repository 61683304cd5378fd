//! The headers of a request.

/// The headers of a request: names in small letters, values without the space around them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(String);

impl Headers {
    /// The value of a header; of the first one if it is there twice.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all headers of this name, in small letters.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.split_terminator('\n').filter_map(|line| line.split_once(':'));
        pairs.filter(move |(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Whether one of a header's comma-separated lists contains this word.
    pub(super) fn list_has(&self, name: &str, word: &str) -> bool {
        let mut items = self.all(name).flat_map(|list| list.split(','));
        items.any(|item| trimmed(item).eq_ignore_ascii_case(word))
    }
}

/// Names and values must not contain line ends. Those of `httparse` do not.
impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Headers {
        let mut text = String::with_capacity(512);
        for (name, value) in pairs {
            text.extend(name.chars().map(|c| c.to_ascii_lowercase()));
            text.extend([":", value, "\n"]);
        }
        Headers(text)
    }
}

/// Without the white space that may stand around a value: only these two (RFC 9110, 5.6.3). What
/// Unicode calls space, another parser may take for a part of the value.
pub(super) fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_name_whatever_its_case_and_lists_are_joined() {
        let all = [("Host", "pi:667"), ("COOKIE", "a=b: c\r"), ("connection", "TE,\t Close")];
        let headers: Headers =
            all.into_iter().chain([("cookie", ""), ("X", "host:evil")]).collect();
        assert_eq!(headers.get("host"), Some("pi:667"));
        assert_eq!(headers.all("cookie").collect::<Vec<_>>(), ["a=b: c\r", ""]);
        assert_eq!(headers.get("x"), Some("host:evil"));
        assert_eq!(headers.get("nothing"), None);
        assert!(headers.list_has("connection", "close") && headers.list_has("connection", "te"));
        assert!(!headers.list_has("connection", "clos") && !headers.list_has("te", "close"));
    }

    #[test]
    fn only_spaces_and_tabs_stand_around_a_value() {
        assert_eq!(trimmed(" \t5\t "), "5");
        for text in ["5\u{a0}", "\u{85}5", "5\u{2003}", "\u{b}5"] {
            assert_eq!(trimmed(text), text);
        }
    }
}
