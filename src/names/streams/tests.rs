use proptest::prelude::*;

use super::*;
use crate::names::claim::Claim;
use crate::names::hello::tests::{extension, hello, server_name};
use crate::names::samples::packet;

const SECOND: i64 = 1_000_000_000;

/// A client's segment: sequence number, time, data.
fn send(
    streams: &mut Streams,
    port: u16,
    (sequence, opens, time, data): (u32, Opens, i64, &[u8]),
) -> Vec<String> {
    let mut names = Vec::new();
    let packet = Packet { time, ports: (port, 443), ..packet(data) };
    streams.read(&packet, Segment { sequence, opens }, &mut |claim| {
        if let Claim::Name { name, .. } = claim {
            names.push(name.to_string());
        }
    });
    names
}

fn tls_hello(name: &str) -> Vec<u8> {
    let message = hello(&[extension(51, &[7; 1_300]), server_name(name.as_bytes())]);
    let [high, low] = (message.len() as u16).to_be_bytes();
    [&[22, 3, 1, high, low][..], &message].concat()
}

#[test]
fn a_hello_of_several_segments_is_put_together_in_any_order() {
    let stream = tls_hello("www.example.org");
    let start = u32::MAX - 700;
    let parts = [0..3, 3..600, 600..1_000, 900..1_200, 1_200..stream.len()];
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 0, 4, 2, 3], [2, 4, 0, 3, 1]] {
        let mut streams = Streams::default();
        send(&mut streams, 5, (start, Opens::Client, 0, &[]));
        let mut names = Vec::new();
        for part in order {
            let sequence = start.wrapping_add(parts[part].start as u32);
            let data = &stream[parts[part].clone()];
            for _again in 0..2 {
                names.extend(send(&mut streams, 5, (sequence, Opens::Nothing, 0, data)));
            }
        }
        assert_eq!(names, ["www.example.org"], "{order:?}");
        assert!(streams.table.is_empty());
    }
}

#[test]
fn without_a_syn_a_stream_begins_where_it_looks_like_a_message() {
    let stream = tls_hello("www.example.org");
    let mut streams = Streams::default();
    let (first, second) = stream.split_at(900);
    assert!(send(&mut streams, 5, (70, Opens::Nothing, 0, b"anything")).is_empty());
    assert!(send(&mut streams, 5, (100, Opens::Nothing, 0, first)).is_empty());
    assert_eq!(send(&mut streams, 5, (1_000, Opens::Nothing, 0, second)), ["www.example.org"]);
    // Later ones in the same connection, too.
    let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    for sequence in [5_000, 6_000] {
        assert_eq!(send(&mut streams, 5, (sequence, Opens::Nothing, 0, request)), ["a.example"]);
    }
    assert!(streams.table.is_empty());
}

#[test]
fn nobody_waits_for_long() {
    let stream = tls_hello("www.example.org");
    let (first, second) = stream.split_at(900);
    for (later, names) in [(3 * SECOND, 1), (3 * SECOND + 1, 0)] {
        let mut streams = Streams::default();
        send(&mut streams, 5, (0, Opens::Nothing, 0, first));
        let found = send(&mut streams, 5, (900, Opens::Nothing, later, second));
        assert_eq!(found.len(), names);
    }
    // A port that is used again.
    let mut streams = Streams::default();
    send(&mut streams, 5, (0, Opens::Client, 0, b"nothing"));
    send(&mut streams, 5, (77, Opens::Client, 1, &[]));
    assert_eq!(send(&mut streams, 5, (77, Opens::Nothing, 2, &stream)), ["www.example.org"]);
}

#[test]
fn floods_stay_bounded() {
    let mut streams = Streams::default();
    for port in 0..20_000_u16 {
        send(&mut streams, port, (0, Opens::Client, 0, &[]));
        // Data that never becomes complete.
        for at in 1..40 {
            send(&mut streams, port, (at * 500, Opens::Nothing, 0, &[22; 500]));
        }
    }
    assert_eq!(streams.table.len(), STREAMS);
    for stream in streams.table.values() {
        let held: usize = stream.waiting.iter().map(|(_, data)| data.len()).sum();
        assert!(stream.bytes.len() <= BYTES && held <= BYTES);
    }
    // A hello in one segment needs no place.
    let stream = tls_hello("www.example.org");
    assert_eq!(send(&mut streams, 50_000, (0, Opens::Nothing, 0, &stream)), ["www.example.org"]);
    // A stream without an end is given up.
    send(&mut streams, 1, (0, Opens::Client, 0, &[]));
    for at in 0..20 {
        let data = [if at == 0 { &b"GET / HTTP/1.1\r\n"[..] } else { b"Header: 1234567\n" }; 1];
        let data = data[0].repeat(if at == 0 { 1 } else { 40 });
        let at = if at == 0 { 0 } else { 16 + (at - 1) * 640 };
        send(&mut streams, 1, (at, Opens::Nothing, 0, &data));
    }
    let packet = packet(&[]);
    assert!(!streams.table.contains_key(&(packet.source, packet.destination, (1, 443))));
}

#[test]
fn answers_of_a_name_server_are_read_from_its_side() {
    let message = [
        &[0, 7, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 1][..],
        b"a\0\0\x01\0\x01\0\0\0\x09\0\x04\xc0\0\x02\x01",
    ]
    .concat();
    let framed = [&[0, message.len() as u8][..], &message].concat();
    let mut streams = Streams::default();
    let mut names = Vec::new();
    let mut send = |sequence, opens, data: &[u8]| {
        let packet = Packet { ports: (53, 4_000), ..packet(data) };
        streams.read(&packet, Segment { sequence, opens }, &mut |claim| {
            if let Claim::Name { name, .. } = claim {
                names.push(name.to_string());
            }
        });
    };
    send(1, Opens::Server, &[]);
    // The length, then the message, as some servers write them; then two at once, cut.
    send(1, Opens::Nothing, &framed[..2]);
    send(3, Opens::Nothing, &framed[2..]);
    let two = framed.repeat(2);
    let next = 1 + framed.len() as u32;
    send(next, Opens::Nothing, &two[..50]);
    send(next + 50, Opens::Nothing, &two[50..]);
    assert_eq!(names, ["a"; 3]);
}

proptest! {
    #[test]
    fn any_segments_are_taken(
        segments in prop::collection::vec(
            (0_u32..9_000, any::<bool>(), 0_i64..5, prop::collection::vec(any::<u8>(), 0..700)),
            0..40,
        ),
    ) {
        let mut streams = Streams::default();
        for (sequence, is_syn, time, data) in segments {
            let opens = if is_syn { Opens::Client } else { Opens::Nothing };
            send(&mut streams, 5, (sequence, opens, time * SECOND, &data));
        }
    }

    #[test]
    fn a_hello_is_found_however_it_is_cut(mut cuts in prop::collection::vec(1_usize..1_380, 0..6)) {
        let stream = tls_hello("www.example.org");
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut streams = Streams::default();
        send(&mut streams, 5, (9, Opens::Client, 0, &[]));
        let mut names = Vec::new();
        for pair in cuts.windows(2).rev() {
            let data = &stream[pair[0]..pair[1]];
            let sequence = 9 + pair[0] as u32;
            names.extend(send(&mut streams, 5, (sequence, Opens::Nothing, 0, data)));
        }
        assert_eq!(names, ["www.example.org"]);
    }
}
