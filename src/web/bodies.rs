//! Bodies of answers: made once per snapshot and question, compressed once, then shared.
//!
//! A snapshot lives a second and pages ask the same questions, so the first page's answer serves
//! the others. The cache is bounded in number and in bytes.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Cached bodies, at most.
const BODIES: usize = 16;
/// Bytes of all cached bodies, at most, compressed and plain.
const BYTES: usize = 2 << 20;
/// Shorter bodies stay plain: they fit into one packet anyway.
const LEAST: usize = 1_024;
/// Level 4 compresses JSON nearly as small as 6, in half of the time (measured).
const LEVEL: u32 = 4;

/// The text of an answer, and its compressed form once a client has wanted it.
pub struct Body {
    plain: String,
    packed: OnceLock<Option<Vec<u8>>>,
}

/// An HTTP status and a body.
pub type Made = (u16, Arc<Body>);

impl Body {
    /// From its text.
    pub fn new(plain: String) -> Arc<Body> {
        Arc::new(Body { plain, packed: OnceLock::new() })
    }

    /// The same, in the requested form only, to save the memory of the other.
    pub fn single(plain: String, takes_gzip: bool) -> Arc<Body> {
        let mut body = Body { plain, packed: OnceLock::new() };
        if takes_gzip && body.packed().is_some() {
            body.plain = String::new();
        }
        Arc::new(body)
    }

    /// Bytes that it occupies now.
    pub fn size(&self) -> usize {
        let packed = self.packed.get().and_then(Option::as_ref);
        self.plain.capacity() + packed.map_or(0, Vec::capacity)
    }

    /// Compresses it, which takes more stack than a connection's thread has.
    pub fn pack(&self) {
        self.packed();
    }

    /// Whether it has been compressed, or found not worth it.
    pub fn is_packed(&self) -> bool {
        self.packed.get().is_some()
    }

    /// The bytes for a client that does or does not accept gzip, their length, and whether they are
    /// gzip.
    pub fn form(self: Arc<Body>, takes_gzip: bool) -> (Cursor<Form>, usize, bool) {
        let is_packed = takes_gzip && self.packed().is_some();
        let form = Form { body: self, is_packed };
        let length = form.as_ref().len();
        (Cursor::new(form), length, is_packed)
    }

    fn packed(&self) -> Option<&[u8]> {
        let pack = || {
            let text = self.plain.as_bytes();
            if text.len() < LEAST {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
            encoder.write_all(text).ok()?;
            let mut packed = encoder.finish().ok()?;
            packed.shrink_to_fit();
            (packed.len() < text.len()).then_some(packed)
        };
        self.packed.get_or_init(pack).as_deref()
    }
}

/// One form of a shared body.
pub struct Form {
    body: Arc<Body>,
    is_packed: bool,
}

impl AsRef<[u8]> for Form {
    fn as_ref(&self) -> &[u8] {
        let packed = self.is_packed.then(|| self.body.packed()).flatten();
        packed.unwrap_or(self.body.plain.as_bytes())
    }
}

/// Cache of the bodies made from the latest snapshot.
#[derive(Default)]
pub struct Bodies(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The snapshot's number.
    number: u64,
    bytes: usize,
    bodies: Vec<(String, Arc<Body>)>,
}

impl Bodies {
    /// The cached answer to `question` from the snapshot with this number, if there is one.
    pub fn kept(&self, number: u64, question: &str) -> Option<Arc<Body>> {
        self.lock(number).find(question)
    }

    /// The answer to `question` from the snapshot with this number: the cached one, or the result
    /// of `make`.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E>(
        &self,
        number: u64,
        question: &str,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Result<Arc<Body>, E> {
        if let Some(body) = self.lock(number).find(question) {
            return Ok(body);
        }
        // Not locked: two threads may make the same body, and both are right.
        let body = Body::new(make()?);
        self.lock(number).keep(number, question, &body);
        Ok(body)
    }

    /// Locks the cache, and clears it if it is older than the snapshot.
    fn lock(&self, number: u64) -> std::sync::MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.number < number {
            *kept = Kept { number, ..Kept::default() };
        }
        kept
    }
}

impl Kept {
    fn find(&self, question: &str) -> Option<Arc<Body>> {
        let found = self.bodies.iter().find(|(kept, _)| kept == question);
        found.map(|(_, body)| body.clone())
    }

    fn keep(&mut self, number: u64, question: &str, body: &Arc<Body>) {
        // The compressed form is smaller than the plain one.
        let size = 2 * body.plain.len() + question.len();
        let has_room = self.bodies.len() < BODIES && self.bytes + size <= BYTES;
        if self.number == number && has_room && self.find(question).is_none() {
            self.bytes += size;
            self.bodies.push((question.to_owned(), body.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn get(bodies: &Bodies, number: u64, question: &str, text: &str) -> String {
        let body = bodies.get::<()>(number, question, || Ok(text.to_owned())).unwrap();
        body.plain.clone()
    }

    #[test]
    fn a_body_is_made_once_for_each_snapshot_and_question() {
        let bodies = Bodies::default();
        assert_eq!(get(&bodies, 1, "a", "first"), "first");
        assert_eq!(get(&bodies, 1, "a", "second"), "first");
        assert_eq!(get(&bodies, 1, "b", "third"), "third");
        assert_eq!(get(&bodies, 2, "a", "fourth"), "fourth");
        assert_eq!(bodies.0.lock().unwrap().bodies.len(), 1);
        // A thread that still has the previous snapshot.
        assert_eq!(get(&bodies, 1, "c", "fifth"), "fifth");
        assert!(bodies.0.lock().unwrap().find("c").is_none());
        assert!(bodies.get(2, "d", || Err("no")).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        let bodies = Bodies::default();
        for question in 0..1_000 {
            get(&bodies, 1, &question.to_string(), "short");
        }
        assert_eq!(bodies.0.lock().unwrap().bodies.len(), BODIES);
        let long = "x".repeat(300_000);
        for question in 0..100 {
            assert_eq!(get(&bodies, 2, &question.to_string(), &long), long);
        }
        let kept = bodies.0.lock().unwrap();
        assert!(kept.bytes <= BYTES && !kept.bodies.is_empty());
    }

    #[test]
    fn long_bodies_are_packed_for_those_who_take_it() {
        let text = "{\"hosts\": []}".repeat(1_000);
        let (mut plain, length, is_packed) = Body::new(text.clone()).form(false);
        assert_eq!((length, is_packed), (text.len(), false));
        let mut read = String::new();
        plain.read_to_string(&mut read).unwrap();
        assert_eq!(read, text);

        let (packed, length, is_packed) = Body::new(text.clone()).form(true);
        assert!(is_packed && length < text.len() / 10);
        let mut read = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);

        let (_, length, is_packed) = Body::new("{}".to_owned()).form(true);
        assert_eq!((length, is_packed), (2, false));

        // For a single client, only one form stays in memory.
        let single = Body::single(text.clone(), true);
        assert!(single.size() < text.len() / 10, "{}", single.size());
        let mut read = String::new();
        flate2::read::GzDecoder::new(single.form(true).0).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        assert_eq!(Body::single("{}".to_owned(), true).form(true).1, 2);
    }
}
