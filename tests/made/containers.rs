//! Capture files of every kind with valid frames, and broken files.

use serde_json::{Value, json};

use super::Made;
use super::cases::{BEGIN, STEP, frames_of};
use super::file::{Order, Pcap, Pcapng};
use super::link::LINKS;
use super::packet::assortment;
use super::truth::{self, Frame};

fn frames() -> Vec<Frame> {
    truth::timed(frames_of(&LINKS[0], &assortment()), BEGIN, STEP)
}

fn made(name: &str, bytes: Vec<u8>, truth: Value) -> Made {
    Made { name: name.to_owned(), bytes, truth }
}

/// All captures of this file.
pub fn all() -> Vec<Made> {
    let mut all = Vec::new();
    for order in [Order::Little, Order::Big] {
        for nano in [false, true] {
            let unit = if nano { 1 } else { 1_000 };
            let frames = at_times(frames(), |number| BEGIN + number * (STEP + unit));
            let bytes = Pcap { order, nano, ..Pcap::USUAL }.file(1, &frames);
            let name = format!("pcap-{order:?}-{}.pcap", if nano { "nano" } else { "micro" });
            all.push(made(&name.to_lowercase(), bytes, truth::of(&frames)));
        }
        all.push(one_interface(order));
        all.push(several_interfaces(order));
        all.push(different_snap_lengths(order));
        all.push(without_times(order));
        all.push(sections(order));
    }
    all.extend(times());
    all.push(made("no-frames.pcap", Pcap::USUAL.file(1, &[]), truth::of(&[])));
    all.extend(broken());
    all
}

fn at_times(mut frames: Vec<Frame>, time: impl Fn(i64) -> i64) -> Vec<Frame> {
    for (number, frame) in frames.iter_mut().enumerate() {
        frame.time = Some(time(number as i64));
    }
    frames
}

fn one_interface(order: Order) -> Made {
    let frames = at_times(frames(), |number| BEGIN + number * (STEP + 1));
    let mut file = Pcapng::new(order);
    file.interface(1, 0, Some(9));
    for (number, frame) in frames.iter().enumerate() {
        if number % 7 == 3 {
            file.other_blocks();
        }
        file.enhanced(0, 9, frame);
    }
    let name = format!("pcapng-{order:?}.pcapng").to_lowercase();
    made(&name, file.bytes, truth::of(&frames))
}

/// Three interfaces of the same link type, with different units of time.
fn several_interfaces(order: Order) -> Made {
    let frames = frames();
    let mut file = Pcapng::new(order);
    for resolution in [None, Some(9), Some(6)] {
        file.interface(1, 65_535, resolution);
    }
    for (number, frame) in frames.iter().enumerate() {
        let interface = number % 3;
        file.enhanced(interface as u32, [6, 9, 6][interface], frame);
    }
    let name = format!("pcapng-{order:?}-interfaces.pcapng").to_lowercase();
    made(&name, file.bytes, truth::of(&frames))
}

/// Interfaces with different snap lengths, as in merged files.
fn different_snap_lengths(order: Order) -> Made {
    let frames = frames();
    let mut file = Pcapng::new(order);
    for snap_length in [65_535, 262_144, 0] {
        file.interface(1, snap_length, None);
    }
    for (number, frame) in frames.iter().enumerate() {
        file.enhanced(number as u32 % 3, 6, frame);
    }
    let name = format!("pcapng-{order:?}-snap-lengths.pcapng").to_lowercase();
    made(&name, file.bytes, truth::of(&frames))
}

/// Simple packet blocks, which have no time.
fn without_times(order: Order) -> Made {
    let mut frames = frames();
    let mut file = Pcapng::new(order);
    file.interface(1, 0, None);
    for frame in &mut frames {
        frame.time = None;
        file.simple(frame);
    }
    let name = format!("pcapng-{order:?}-no-times.pcapng").to_lowercase();
    made(&name, file.bytes, truth::of(&frames))
}

/// Two sections, as `cat` makes from two files.
fn sections(order: Order) -> Made {
    let frames = frames();
    let mut file = Pcapng::new(order);
    file.interface(1, 262_144, None);
    for (number, frame) in frames.iter().enumerate() {
        if number == 10 {
            file.section();
            file.interface(1, 262_144, None);
        }
        file.enhanced(0, 6, frame);
    }
    let name = format!("pcapng-{order:?}-sections.pcapng").to_lowercase();
    made(&name, file.bytes, truth::of(&frames))
}

/// Times that go backwards, jump, or are the extremes of the format.
fn times() -> Vec<Made> {
    const SECOND: i64 = 1_000_000_000;
    let file = |name: &str, times: &[i64]| {
        let mut frames = frames();
        frames.truncate(times.len());
        let frames = at_times(frames, |number| times[number as usize]);
        made(name, Pcap::USUAL.file(1, &frames), truth::of(&frames))
    };
    vec![
        file("time-backwards.pcap", &[BEGIN, BEGIN - 5 * SECOND, BEGIN + SECOND, BEGIN - SECOND]),
        file("time-of-a-year.pcap", &[BEGIN, BEGIN + 366 * 86_400 * SECOND, BEGIN]),
        file("time-1970.pcap", &[SECOND, 2 * SECOND, 3 * SECOND + 999_999_000]),
        file("time-2038.pcap", &[2_147_483_647 * SECOND, 2_147_483_646 * SECOND]),
    ]
}

/// Files that end early or contain damage, and files that are no captures.
fn broken() -> Vec<Made> {
    let frames = frames();
    let whole = Pcap::USUAL.file(1, &frames);
    let some = &frames[..5];
    let five = Pcap::USUAL.file(1, some).len();
    let mut absurd = whole.clone();
    absurd[five + 8..five + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut unfinished = Pcapng::new(Order::Little);
    unfinished.interface(1, 0, None);
    for frame in &frames {
        unfinished.enhanced(0, 6, frame);
    }
    let last = frames.len() - 1;
    unfinished.bytes.truncate(unfinished.bytes.len() - 9);
    let none = json!({"judge": "robustness", "libpcap": {"readable": false, "frames": 0}});
    let garbage: Vec<u8> =
        (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    vec![
        made("ends-in-a-header.pcap", whole[..five + 7].to_vec(), truth::until_damage(some)),
        made("ends-in-a-frame.pcap", whole[..five + 20].to_vec(), truth::until_damage(some)),
        made("absurd-length.pcap", absurd, truth::until_damage(some)),
        made("ends-in-a-block.pcapng", unfinished.bytes, truth::until_damage(&frames[..last])),
        made("nothing.pcap", Vec::new(), none.clone()),
        made("half-a-header.pcap", whole[..11].to_vec(), none.clone()),
        made("garbage.pcap", garbage, none.clone()),
        made("text.pcap", b"No capture at all, but a text file.\n".repeat(9), none),
    ]
}
