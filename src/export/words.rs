//! Words for people, where they differ from the program's own: docs/GLOSSARY.md lists them all.
//! JSON and CSV keep the program's names.

/// Link types by libpcap's names (pcap-linktype(7)), with what people call them; the page has
/// the same table (`src/web/ui/src/words.ts`), and a test compares the two.
const LINK_TYPES: [(&str, &str); 16] = [
    ("EN10MB", "Ethernet"),
    ("LINUX_SLL", "any interface (Linux)"),
    ("LINUX_SLL2", "any interface (Linux)"),
    ("RAW", "IP, without a link layer"),
    ("IPV4", "IPv4, without a link layer"),
    ("IPV6", "IPv6, without a link layer"),
    ("NULL", "loopback"),
    ("LOOP", "loopback"),
    ("PPP", "PPP"),
    ("PPP_ETHER", "PPPoE"),
    ("IEEE802_11", "Wi-Fi"),
    ("IEEE802_11_RADIO", "Wi-Fi, with radio data"),
    ("PRISM_HEADER", "Wi-Fi, with radio data"),
    ("IEEE802", "Token Ring"),
    ("FDDI", "FDDI"),
    ("NFLOG", "firewall log (NFLOG)"),
];

/// The word for a link type; libpcap's name if there is none.
pub fn link_type(name: &str) -> &str {
    LINK_TYPES.iter().find(|(known, _)| *known == name).map_or(name, |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::account::{Accounts, Drops, LocalNetworks};
    use crate::export::report::Report;

    fn read(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn the_page_calls_links_the_same() {
        let page = read("src/web/ui/src/words.ts");
        for (name, word) in LINK_TYPES {
            assert!(page.contains(&format!("{name}: \"{word}\"")), "{name}: {word}");
        }
        assert_eq!(link_type("SOMETHING_ELSE"), "SOMETHING_ELSE");
    }

    #[test]
    fn a_report_for_people_has_the_words_of_the_glossary() {
        let mut accounts = Accounts::new(10, LocalNetworks::private_and(Vec::new()));
        let eth0 = accounts.interface("eth0", "EN10MB");
        accounts.set_drops(eth0, Drops { kernel: 3, ..Drops::default() });
        let snapshot = accounts.snapshot();
        let text = Report::new(&snapshot, 10, &[], &[]).to_text();
        assert!(text.contains("Ethernet") && text.contains("missed packets"), "{text}");
        for old in ["EN10MB", "dropped", "overed"] {
            assert!(!text.contains(old), "{old}: {text}");
        }
        // JSON, for programs, keeps the program's names.
        let json = Report::new(&snapshot, 10, &[], &[]).to_json().to_string();
        assert!(json.contains("EN10MB") && json.contains("\"drops\""), "{json}");
    }

    #[test]
    fn the_glossary_has_the_words_of_the_page() {
        let glossary = read("docs/GLOSSARY.md");
        let page = read("src/web/ui/src/words.ts");
        let words = page.split("export const WORDS = {").nth(1).unwrap();
        let words = words.split("} as const").next().unwrap();
        let mut count = 0;
        for line in words.lines() {
            let Some((_, word)) = line.trim().split_once(": \"") else { continue };
            let word = word.trim_end_matches("\",");
            assert!(glossary.to_lowercase().contains(&word.to_lowercase()), "{word}");
            count += 1;
        }
        assert!(count >= 10, "{count} words");
    }
}
