use proptest::prelude::*;

use super::*;
use crate::names::samples::{SENDER, lines, packet};

/// A message: flags, and the records of each section.
struct Written {
    flags: u16,
    sections: [Vec<Vec<u8>>; 4],
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 7];
        bytes.extend(self.flags.to_be_bytes());
        for section in &self.sections {
            bytes.extend((section.len() as u16).to_be_bytes());
        }
        bytes.extend(self.sections.iter().flatten().flatten());
        bytes
    }
}

const ANSWER: u16 = 0x8180;

fn answer(questions: &[&str], answers: Vec<Vec<u8>>) -> Written {
    let question = |name: &&str| [name_of(name), vec![0, 1, 0, 1]].concat();
    let questions = questions.iter().map(question).collect();
    Written { flags: ANSWER, sections: [questions, answers, vec![], vec![]] }
}

fn name_of(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    raw_record(&name_of(owner), kind, data)
}

fn raw_record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let [high, low] = kind.to_be_bytes();
    let [more, less] = (data.len() as u16).to_be_bytes();
    [owner, &[high, low, 0, 1, 0, 0, 0, 60, more, less], data].concat()
}

fn a(owner: &str, last: u8) -> Vec<u8> {
    record(owner, 1, &[192, 0, 2, last])
}

fn said(port: u16, message: &[u8]) -> Vec<String> {
    let packet = Packet { ports: (port, 40_000), ..packet(message) };
    lines(read, &packet)
}

#[test]
fn an_address_is_named_by_the_question_at_the_head_of_the_chain() {
    let chain = answer(
        &["WWW.Example.org"],
        vec![
            record("www.example.org", 5, &name_of("edge.cdn.example")),
            record("Edge.cdn.example", 5, &name_of("a7.cdn.example")),
            a("a7.CDN.example", 1),
            record("a7.cdn.example", 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
            a("else.example", 2),
        ],
    );
    assert_eq!(
        said(53, &chain.bytes()),
        ["192.0.2.1 www.example.org", "2001:db8::9 www.example.org", "192.0.2.2 else.example"]
    );
    // A chain that bites its tail names what it can.
    let circle = answer(
        &["a.example"],
        vec![
            record("a.example", 5, &name_of("b.example")),
            record("b.example", 5, &name_of("a.example")),
            a("b.example", 1),
        ],
    );
    assert_eq!(said(53, &circle.bytes()), ["192.0.2.1 b.example"]);
}

#[test]
fn names_of_addresses_are_read() {
    let nibbles = "9.0.0.0.".to_owned() + &"0.".repeat(20) + "8.B.d.0.1.0.0.2.ip6.arpa";
    let message = answer(
        &[],
        vec![
            record("4.3.2.1.IN-ADDR.arpa", 12, &name_of("Host.example")),
            record(&nibbles, 12, &name_of("six.example")),
            record("3.2.1.in-addr.arpa", 12, &name_of("network.example")),
            record("256.3.2.1.in-addr.arpa", 12, &name_of("none.example")),
            record("1.ip6.arpa", 12, &name_of("none.example")),
        ],
    );
    let names = ["1.2.3.4 host.example", "2001:db8::9 six.example"];
    assert_eq!(said(53, &message.bytes()), names);
    assert_eq!(said(5_355, &message.bytes()), names);
}

#[test]
fn questions_and_refusals_name_nothing() {
    let mut message = answer(&["a.example"], vec![a("a.example", 1)]);
    for flags in [0x0100, 0x8183, 0x8182] {
        message.flags = flags;
        assert_eq!(said(53, &message.bytes()), [""; 0], "{flags:x}");
        assert_eq!(said(5_355, &message.bytes()), [""; 0], "{flags:x}");
        // Multicast DNS has neither: a question carries the answers that are known.
        assert_eq!(said(5_353, &message.bytes()), ["192.0.2.1 a.example"], "{flags:x}");
    }
    // The reserved bit is some resolver's habit.
    message.flags = ANSWER | 0x40;
    assert_eq!(said(53, &message.bytes()), ["192.0.2.1 a.example"]);
    // Only the answer is about the question.
    message.sections[3] = vec![a("ns.example", 2)];
    message.sections[2] = vec![a("probe.local", 3)];
    message.flags = ANSWER;
    assert_eq!(said(53, &message.bytes()), ["192.0.2.1 a.example"]);
    assert_eq!(said(5_353, &message.bytes()), ["192.0.2.1 a.example", "192.0.2.2 ns.example"]);
}

#[test]
fn multicast_tells_services_and_models() {
    let message = Written {
        flags: 0x8400,
        sections: [
            vec![],
            vec![
                record("_airplay._tcp.local", 12, &name_of("TV._airplay._tcp.local")),
                record("_services._dns-sd._udp.local", 12, &name_of("_ipp._tcp.local")),
                record("5.0.0.10.in-addr.arpa", 12, &name_of("tv.local")),
            ],
            vec![],
            vec![
                record("TV._airplay._tcp.local", 16, b"\x04a=b1\x0dmodel=Tv5,3 x"),
                record("tv.local", 1, &[10, 0, 0, 5]),
            ],
        ],
    };
    let services = [
        format!("{SENDER} Service _airplay._tcp.local"),
        format!("{SENDER} Service _ipp._tcp.local"),
        format!("{SENDER} Model tv5,3 x"),
    ];
    let names = ["10.0.0.5 tv.local".to_owned(), "10.0.0.5 tv.local".to_owned()];
    assert_eq!(said(5_353, &message.bytes()), [&names[..], &services[..]].concat());
}

#[test]
fn a_message_is_read_as_far_as_it_can_be() {
    let mut message = answer(&["a.example"], (1..9).map(|last| a("a.example", last)).collect());
    let whole = message.bytes();
    let one = a("a.example", 1).len();
    for cut in 0..8 * one {
        let names = said(53, &whole[..whole.len() - cut]);
        assert_eq!(names.len(), 8 - cut.div_ceil(one), "{cut}");
    }
    // An odd record hides those behind it, no others.
    message.sections[1][5] = record("a.example", 1, &[1]);
    assert_eq!(said(53, &message.bytes()).len(), 5);
    // A header that announces more than the message can hold.
    let mut liar = answer(&["a.example"], vec![a("a.example", 1)]).bytes();
    liar[6..12].fill(0xff);
    assert_eq!(said(53, &liar), ["192.0.2.1 a.example"]);
    liar[4] = 0xff;
    assert_eq!(said(53, &liar), [""; 0]);
}

#[test]
fn pointers_to_pointers_cost_little() {
    // Each record's name walks through a thousand pointers; an odd record at the end makes the
    // search for the longest good list necessary.
    let start = HEADER + 1 + 10;
    let mut chain = vec![0];
    for number in 0..1_000_u16 {
        let at = if number == 0 { start as u16 } else { start as u16 + 1 + 2 * (number - 1) };
        chain.extend((0xc000 | at).to_be_bytes());
    }
    let end = (0xc000 | (start + chain.len() - 2) as u16).to_be_bytes();
    let mut answers = vec![raw_record(&[0], 10, &chain)];
    answers.extend((0..170).map(|last| raw_record(&end, 1, &[192, 0, 2, last])));
    answers.push(record("a", 1, &[1]));
    let bytes = answer(&[], answers).bytes();
    let begin = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(said(53, &bytes), [""; 0], "the root is no name");
    }
    // Ten messages take 0.4 s, unoptimized; 0.05 s in a release.
    assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn odd_bytes_in_names_are_told_as_text_or_not_at_all() {
    let odd = |label: &[u8]| {
        let owner = [&[label.len() as u8], label, &[0]].concat();
        said(53, &answer(&[], vec![raw_record(&owner, 1, &[192, 0, 2, 1])]).bytes())
    };
    assert_eq!(odd("K\u{fc}che tv".as_bytes()), ["192.0.2.1 k\u{fc}che tv"]);
    assert_eq!(odd(b"a(b"), ["192.0.2.1 a(b"]);
    assert_eq!(odd(b"a\xffb"), [""; 0]);
    assert_eq!(odd(b"a\x1bb"), [""; 0]);
}

#[test]
fn a_stream_holds_one_message_after_the_other() {
    let one = answer(&["a.example"], vec![a("a.example", 1)]).bytes();
    let framed = [&(one.len() as u16).to_be_bytes()[..], &one].concat();
    assert!(begins(&framed));
    let two = framed.repeat(2);
    for length in 0..=two.len() {
        let mut from = None;
        let names = lines(
            |packet, claims| from = read_stream(packet, &two[..length], claims),
            &packet(&[]),
        );
        assert_eq!(names.len(), length / framed.len(), "{length}");
        let rest = length % framed.len();
        assert_eq!(from, (rest != 0).then_some(length - rest), "{length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        counts in prop::array::uniform4(0_u16..6),
        port in prop::sample::select(PORTS.to_vec()),
    ) {
        said(port, &bytes);
        let mut message = vec![0, 0, 0x80, 0];
        message.extend(counts.map(u16::to_be_bytes).concat());
        message.extend(&bytes);
        said(port, &message);
        let _ = read_stream(&packet(&[]), &bytes, &mut |_| ());
    }

    #[test]
    fn a_broken_message_does_no_harm(at in 0_usize..200, byte: u8, cut in 0_usize..200) {
        let answers = vec![
            record("a.example", 5, &name_of("b.example")),
            a("b.example", 1),
            raw_record(&[0xc0, 12], 12, &[0xc0, 12]),
            record("a.example", 16, b"\x03a=b"),
        ];
        let mut bytes = answer(&["a.example"], answers).bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        for port in PORTS {
            said(port, &bytes);
            said(port, &bytes[..length - cut % length]);
        }
    }
}
