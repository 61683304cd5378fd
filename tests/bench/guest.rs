//! The memory of a program for another machine, run under QEMU.
//!
//! QEMU's own memory says nothing about that. So this follows QEMU's record of system calls
//! (`-strace`) and counts the pages that the program maps for itself, and the program's own file.
//! The figure is an upper bound, because not every page is touched.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;

const PAGE: u64 = 4_096;

/// The peak memory of `brightstat ARGUMENTS`, built for a Pi Zero, bytes.
pub fn peak(program: &Path, arguments: &[&str]) -> Result<u64, Box<dyn Error>> {
    let run = Command::new("qemu-arm-static")
        .args(["-cpu", "arm1176", "-strace"])
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("qemu-arm-static: {e}; it is in Debian's qemu-user-static"))?;
    let record = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() || run.stdout.is_empty() {
        return Err(record.lines().rev().take(5).collect::<Vec<_>>().join("\n").into());
    }
    let heap = peak_of(&record)?;
    if heap == 0 {
        return Err("qemu-arm-static tells nothing of memory".into());
    }
    Ok(heap + std::fs::metadata(program)?.len())
}

/// The same for the pages mapped without a file, from QEMU's record.
fn peak_of(record: &str) -> Result<u64, Box<dyn Error>> {
    let (mut pages, mut most) = (BTreeSet::new(), 0);
    for line in record.lines() {
        // As in "10465 munmap(0x3ffdc000,16384) = 0".
        let Some((call, result)) = line.rsplit_once(" = ") else { continue };
        let call = call.split_once(' ').map_or(call, |(_, call)| call);
        let Some((name, arguments)) = call.trim_end_matches(')').split_once('(') else { continue };
        let (name, arguments): (&str, Vec<&str>) = (name, arguments.split(',').collect());
        let is_anonymous = arguments.iter().any(|flags| flags.contains("MAP_ANONYMOUS"));
        if result.starts_with('-') || (name == "mmap2" && !is_anonymous) {
            continue;
        }
        let number = |at: usize| number(arguments.get(at).copied().unwrap_or_default());
        let span = |start: u64, length: u64| start / PAGE..(start + length).div_ceil(PAGE);
        match name {
            "mmap2" => pages.extend(span(self::number(result)?, number(1)?)),
            "munmap" => span(number(0)?, number(1)?).for_each(|page| _ = pages.remove(&page)),
            "mremap" => {
                span(number(0)?, number(1)?).for_each(|page| _ = pages.remove(&page));
                pages.extend(span(self::number(result)?, number(2)?));
            }
            // musl's allocator does not use it.
            "brk" => return Err("this program moves its break, which is not followed".into()),
            _ => {}
        }
        most = most.max(pages.len() as u64);
    }
    Ok(most * PAGE)
}

/// A number of the record.
fn number(text: &str) -> Result<u64, Box<dyn Error>> {
    let text = text.split_whitespace().next().unwrap_or_default();
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|e| format!("'{text}' in QEMU's record: {e}").into())
}
