//! Reading capture files: pcapng whose interfaces differ, gzip, pipes, and damage.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use pcap::Capture;

use super::made::{PcapNg, classic};
use crate::capture::file::CaptureFile;
use crate::decode::tests::frames::*;
use crate::decode::{Addr, Defect, NO_TIME, PacketRecord};
use crate::failure::{Exit, Failure};
use crate::ring::ring;

/// The result of reading a file.
struct Read {
    records: Vec<PacketRecord>,
    link_types: String,
    end: Result<(), Failure>,
}

fn read_file(path: &Path) -> Result<Read, Failure> {
    let file = CaptureFile::open(path)?;
    let (mut sender, mut receiver) = ring(1 << 16, thread::current());
    let outcome = file.read(&mut sender, |_, _| ());
    drop(sender);
    let mut records = Vec::new();
    while receiver.drain(1 << 16, |some| records.extend_from_slice(some)) > 0 {}
    Ok(Read { records, link_types: outcome.link_types, end: outcome.end.map_err(Failure::from) })
}

/// A file of these bytes in a directory of its own.
struct Made {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn file_of(bytes: &[u8]) -> Made {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.pcap");
    fs::write(&path, bytes).unwrap();
    Made { path, _directory: directory }
}

fn read(bytes: &[u8]) -> Result<Read, Failure> {
    read_file(&file_of(bytes).path)
}

/// Reads a capture that must be in good order.
#[track_caller]
fn read_whole(bytes: &[u8]) -> Read {
    let read = read(bytes).unwrap();
    assert!(read.end.is_ok(), "{:?}", read.end);
    read
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file with every kind of packet block, whose interfaces differ in every way.
fn mixed(is_big: bool) -> Vec<u8> {
    let eth = ethernet(IPV4, &small());
    PcapNg::new(is_big)
        .interface(1, 96)
        .fine_interface(1, 0)
        .interface(113, 65_535)
        .packet(0, 5_000_000, &eth, 1_500)
        .packet(1, 7, &ethernet(IPV6, &small_v6()), 67)
        .block(5, &[0; 12])
        .packet(2, 9_000_000, &cooked1(IPV4, &small()), 49)
        .simple_packet(&eth, eth.len() as u32)
        .old_packet(2, 11_000_000, &cooked1(IPV6, &small_v6()), 70)
        .section()
        .interface(101, 10)
        .simple_packet(&small()[..10], 500)
        .packet(0, 13_000_000, &small(), 33)
        .bytes
}

#[test]
fn interfaces_of_a_pcapng_file_may_differ_in_link_type_and_snap_length() {
    for is_big in [false, true] {
        let read = read_whole(&mixed(is_big));
        assert_eq!(read.link_types, "EN10MB, LINUX_SLL, RAW");
        let facts: Vec<_> = read
            .records
            .iter()
            .map(|r| (r.timestamp, r.wire_len, r.captured_len, r.ports(), r.defect()))
            .collect();
        let (ports, no) = (Some((5353, 53)), Defect::None);
        let expected = [
            (5_000_000_000, 1_500, 47, ports, no),
            (7, 67, 67, ports, no),
            (9_000_000_000, 49, 49, ports, no),
            // Without a time, it gets that of the one before.
            (9_000_000_000, 47, 47, ports, no),
            (11_000_000_000, 70, 69, ports, no),
            // Cut at the snap length of its interface.
            (11_000_000_000, 500, 10, None, Defect::Truncated),
            (13_000_000_000, 33, 33, ports, no),
        ];
        assert_eq!(facts, expected);
        assert_eq!(read.records[1].source, Addr::v6(SOURCE_V6));
        assert_eq!(read.records[2].source_mac().0, SENDER);
    }
}

#[test]
fn a_time_of_0_is_a_time_and_only_a_block_without_has_none() {
    let frame = ethernet(IPV4, &small());
    let file = PcapNg::new(false)
        .interface(1, 0)
        .simple_packet(&frame, 47)
        .packet(0, 0, &frame, 47)
        .simple_packet(&frame, 47);
    let times: Vec<i64> = read_whole(&file.bytes).records.iter().map(|r| r.timestamp).collect();
    assert_eq!(times, [NO_TIME, 0, 0]);
}

#[test]
fn a_frame_longer_than_its_file_announces_is_whole_in_pcapng() {
    let frame = ethernet(IPV4, &ipv4(17, &udp(5353, 53, &[7; 1_000])));
    let length = frame.len() as u32;
    let file = PcapNg::new(false).interface(1, 64).packet(0, 1, &frame, length);
    let record = read_whole(&file.bytes).records[0];
    assert_eq!((record.captured_len, record.wire_len), (length, length));
    // Even if it is longer than libpcap's limit.
    let frame = ethernet(IPV4, &ipv4(17, &udp(5353, 53, &[7; 300_000])));
    let length = frame.len() as u32;
    let file = PcapNg::new(true).interface(1, 0).packet(0, 1, &frame, length);
    let record = read_whole(&file.bytes).records[0];
    assert_eq!((record.captured_len, record.wire_len), (length, length));
}

#[test]
fn without_frames_the_link_types_are_those_of_the_interfaces() {
    let file = PcapNg::new(false).interface(1, 0).interface(189, 5).interface(1, 0);
    let read = read_whole(&file.bytes);
    assert_eq!((read.records.len(), &*read.link_types), (0, "EN10MB, USB_LINUX"));
    assert_eq!(read_whole(&classic(1, &[])).link_types, "EN10MB");
}

/// How many frames libpcap reads by itself.
fn libpcap_reads(path: &Path) -> usize {
    let Ok(mut capture) = Capture::from_file(path) else { return 0 };
    let mut frames = 0;
    while capture.next_packet().is_ok() {
        frames += 1;
    }
    frames
}

#[test]
fn a_file_that_is_cut_anywhere_is_read_as_far_as_libpcap_reads_it() {
    let frame = ethernet(IPV4, &small());
    let uniform = PcapNg::new(false)
        .interface(1, 0)
        .packet(0, 5, &frame, 47)
        .simple_packet(&frame, 47)
        .block(5, &[0; 12])
        .old_packet(0, 6, &frame, 47)
        .section()
        .interface(1, 0)
        .packet(0, 5, &frame, 47)
        .bytes;
    for length in 1..=uniform.len() {
        let made = file_of(&uniform[..length]);
        let frames = libpcap_reads(&made.path);
        let whole = Capture::from_file(&made.path);
        match read_file(&made.path) {
            Ok(read) => assert_eq!(read.records.len(), frames, "{length}"),
            Err(e) => assert!(whole.is_err() && e.message.contains("x.pcap"), "{length}: {e}"),
        }
    }
    assert_eq!(libpcap_reads(&file_of(&uniform).path), 4);
}

#[test]
fn damage_anywhere_is_judged_by_libpcap() {
    let frame = ethernet(IPV4, &small());
    let file = PcapNg::new(true)
        .interface(1, 0)
        .packet(0, 5, &frame, 47)
        .simple_packet(&frame, 47)
        .old_packet(0, 6, &frame, 47)
        .bytes;
    for at in 0..file.len() {
        for value in [0, 1, 0x7f, 0xff, file[at] ^ 4] {
            let mut odd = file.clone();
            odd[at] = value;
            let made = file_of(&odd);
            let frames = libpcap_reads(&made.path);
            // Files are read that libpcap refuses only for link type or snap length.
            let ours = read_file(&made.path).map_or(0, |read| read.records.len());
            assert!(ours >= frames && ours <= 3, "byte {at} is {value}: {ours}, {frames}");
        }
    }
}

#[test]
fn more_interfaces_than_anybody_has_are_refused() {
    let mut file = PcapNg::new(false).interface(1, 0).packet(0, 5, &ethernet(IPV4, &small()), 47);
    let interface = PcapNg::new(false).interface(1, 0).bytes[28..].to_vec();
    file.bytes.extend(interface.repeat(65_536));
    let read = read(&file.bytes).unwrap();
    assert_eq!(read.records.len(), 1);
    let problem = read.end.unwrap_err();
    assert!(problem.message.contains("more than 65536 interfaces"), "{problem}");
}

#[test]
fn files_packed_with_gzip_are_read() {
    let frame = ethernet(IPV4, &small());
    let plain = classic(1, &[&frame, &frame, &frame]);
    for file in [pack(&plain), cat(&[&pack(&plain[..30]), &pack(&plain[30..])])] {
        let read = read_whole(&file);
        assert_eq!((read.records.len(), &*read.link_types), (3, "EN10MB"));
        assert_eq!(read.records[2].timestamp, 3_000_000_000);
        // gzip leaves out the rest as well.
        assert_eq!(read_whole(&cat(&[&file, &[0; 512]])).records.len(), 3);
    }
    assert_eq!(read_whole(&pack(&mixed(true))).records.len(), 7);
}

#[test]
fn a_packed_file_may_be_much_longer_than_it_looks() {
    // 40 MB in 40 kB; more than any buffer on the way.
    let frame = ethernet(IPV4, &ipv4(17, &udp(1, 2, &[0; 1_400])));
    let frames = vec![&frame[..]; 28_000];
    let file = pack(&classic(1, &frames));
    assert!(file.len() < 400_000, "{}", file.len());
    assert_eq!(read_whole(&file).records.len(), 28_000);
}

#[test]
fn damaged_packed_files_are_read_up_to_the_damage() {
    let frame = ethernet(IPV4, &ipv4(17, &udp(1, 2, &[0; 1_000])));
    let file = pack(&classic(1, &vec![&frame[..]; 1_000]));
    let cut = read(&file[..file.len() - 9]).unwrap();
    let problem = cut.end.unwrap_err();
    assert!(cut.records.len() > 900, "{}", cut.records.len());
    assert_eq!(problem.exit, Exit::Data);
    assert!(problem.message.contains("x.pcap: the packed data ends too early"), "{problem}");
    let mut wrong = file.clone();
    let sum = file.len() - 8;
    wrong[sum] ^= 1;
    let wrong = read(&wrong).unwrap();
    assert_eq!(wrong.records.len(), 1_000);
    assert!(wrong.end.unwrap_err().message.contains("the packed data is damaged"));
    // Some damage shows only as an early end.
    for length in 2..30 {
        let problem = match read(&file[..length]) {
            Ok(read) => read.end.unwrap_err(),
            Err(problem) => problem,
        };
        assert!(problem.message.contains("ends too early"), "{length}: {problem}");
    }
}

#[test]
fn an_empty_file_is_called_empty_and_other_packing_by_its_name() {
    let message = |bytes: &[u8]| read(bytes).err().map(|e| (e.exit, e.message)).unwrap();
    for empty in [Vec::new(), pack(&[])] {
        let (exit, message) = message(&empty);
        assert_eq!(exit, Exit::Data);
        assert!(message.contains("x.pcap: empty"), "{message}");
    }
    for (start, name, remedy) in [
        (&b"\x28\xb5\x2f\xfd..."[..], "Zstandard", "unzstd"),
        (b"\xfd7zXZ\0...", "xz", "unxz"),
        (b"BZh9...", "bzip2", "bunzip2"),
        (b"\x04\x22\x4d\x18...", "LZ4", "unlz4"),
    ] {
        let (_, message) = message(start);
        assert!(message.contains(name) && message.contains(remedy), "{message}");
    }
    assert!(message(b"#!/bin/sh\n and so on, no capture").1.contains("not a capture file"));
    assert!(message(&pack(b"#!/bin/sh\n and so on, no capture")).1.contains("not a capture file"));
}

#[test]
fn a_named_pipe_is_read_once_and_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let frame = ethernet(IPV4, &small());
    for bytes in [classic(1, &[&frame, &frame]), pack(&classic(1, &[&frame, &frame]))] {
        let path = directory.path().join(format!("{}", bytes.len()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let to = path.clone();
        let writer = thread::spawn(move || fs::write(to, bytes));
        assert_eq!(read_file(&path).unwrap().records.len(), 2);
        writer.join().unwrap().unwrap();
    }
}
