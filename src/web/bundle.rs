//! The page: one static bundle inside the program, compressed (see `ui/embed.rs`).

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// A file of the page.
pub(super) struct Asset {
    /// The path under which it is served.
    pub(super) path: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// Changes whenever the content does.
    pub(super) etag: &'static str,
    /// Whether its name contains a hash of its content, so that it can be cached forever.
    pub(super) is_hashed: bool,
    /// Its content, compressed.
    pub(super) gzip: &'static [u8],
}

impl Asset {
    /// Bytes of its content, decompressed: the last field of a gzip file (RFC 1952, 2.3.1).
    pub(super) fn length(&self) -> usize {
        let last = self.gzip.last_chunk().copied().unwrap_or_default();
        u32::from_le_bytes(last) as usize
    }
}

/// Served if the program was built without the page.
const UNBUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <title>brightstat</title><h1>brightstat</h1><p>This program was built without its page: \
    run <code>make ui</code>, which needs Node.js, and build it again. The numbers are at \
    <a href=\"api/v1/live\">api/v1/live</a>.</p></html>\n";

/// The file at that path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The page to serve at `/` if none was built.
pub(super) fn unbuilt() -> Option<&'static str> {
    ASSETS.is_empty().then_some(UNBUILT)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn plain(asset: &Asset) -> Vec<u8> {
        let mut content = Vec::new();
        GzDecoder::new(asset.gzip).read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), asset.length(), "{}", asset.path);
        content
    }

    #[test]
    fn every_file_of_the_page_can_be_unpacked_and_is_named_by_it() {
        let Some(index) = find("/") else {
            assert!(unbuilt().is_some_and(|page| page.contains("make ui")));
            return;
        };
        let html = String::from_utf8(plain(index)).unwrap();
        for asset in ASSETS.iter().filter(|asset| asset.path != "/") {
            assert!(!plain(asset).is_empty(), "{}", asset.path);
            assert!(html.contains(&asset.path[1..]), "nothing asks for {}", asset.path);
        }
        assert!(unbuilt().is_none());
    }
}
