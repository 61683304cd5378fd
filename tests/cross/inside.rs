//! The contents of the Pis' programs: their ELF files, and the C libraries in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Program, aarch64, armv6};

fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; 'make test-cross' installs it"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {message}", file.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The values of an ARM attribute in a file, or in every object of an archive.
fn attributes<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// The attributes of a file, or of an archive's objects, that exceed ARMv6 with VFPv2.
fn beyond_armv6(file: &Path) -> Vec<String> {
    let text = output("readelf", &["-A"], file);
    let architectures = attributes(&text, "Tag_CPU_arch");
    assert!(!architectures.is_empty(), "{}: no attributes; is it for ARM?", file.display());
    let allowed: [(&str, &[&str]); 5] = [
        // Start-up code in assembler declares the oldest architecture that suffices.
        ("Tag_CPU_arch", &["v4T", "v5T", "v5TE", "v6", "v6KZ"]),
        // Helpers without floating point say "No".
        ("Tag_FP_arch", &["VFPv2", "No"]),
        ("Tag_THUMB_ISA_use", &["Thumb-1"]),
        ("Tag_Advanced_SIMD_arch", &[]),
        ("Tag_DIV_use", &["Not allowed"]),
    ];
    let odd = |(name, allowed): (&str, &[&str])| -> Vec<String> {
        let values = attributes(&text, name).into_iter();
        let odd = values.filter(|value| !allowed.contains(value));
        odd.map(|value| format!("{}: {name}: {value}", file.display())).collect()
    };
    allowed.into_iter().flat_map(odd).collect()
}

/// Files below a folder whose names are `is_wanted`.
fn find(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(find(&path, is_wanted));
        } else if is_wanted(path.file_name().unwrap().to_str().unwrap()) {
            found.push(path);
        }
    }
    found
}

/// Whether the ELF file, or the first object of the archive, is for 32-bit ARM.
fn is_arm(file: &Path) -> bool {
    output("readelf", &["-h"], file).lines().any(|line| {
        line.trim().strip_prefix("Machine:").is_some_and(|machine| machine.trim() == "ARM")
    })
}

#[test]
#[ignore = "make test-cross"]
fn the_program_for_the_first_pi_says_armv6_with_vfp2_and_no_thumb2() {
    let program = armv6().path;
    let text = output("readelf", &["-A"], &program);
    assert_eq!(attributes(&text, "Tag_CPU_arch"), ["v6"], "{text}");
    assert_eq!(attributes(&text, "Tag_FP_arch"), ["VFPv2"], "{text}");
    assert_eq!(attributes(&text, "Tag_THUMB_ISA_use"), ["Thumb-1"], "{text}");
    assert_eq!(attributes(&text, "Tag_ABI_VFP_args"), ["VFP registers"], "{text}");
    assert_eq!(beyond_armv6(&program), [""; 0]);
}

/// libpcap, SQLite, and what Zig has compiled: libc, start-up code, helpers, unwinder.
#[test]
#[ignore = "make test-cross"]
fn no_object_of_our_c_libraries_is_beyond_armv6() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let triple = "arm-unknown-linux-musleabihf";
    let mut files = vec![target.join("toolchain/pi").join(triple).join("lib/libpcap.a")];
    let build = target.join(triple).join("release/build");
    files.extend(find(&build, &|name| name == "libsqlite3.a"));
    // A used target folder may contain SQLite from earlier builds as well.
    assert!(files.len() >= 2, "libpcap and SQLite: {files:?}");
    let zig = find(&target.join("toolchain/pi/zig-cache/o"), &|name| {
        name == "crt1.o" || (name.starts_with("lib") && name.ends_with(".a"))
    });
    let zig: Vec<PathBuf> = zig.into_iter().filter(|file| is_arm(file)).collect();
    for needed in ["crt1.o", "libc.a", "libcompiler_rt.a", "libunwind.a"] {
        assert!(zig.iter().any(|file| file.ends_with(needed)), "no {needed}: {zig:?}");
    }
    files.extend(zig);
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| beyond_armv6(file))
        // Two hand-written functions of the unwinder, see `is_for_newer_unwinding`.
        .filter(|text| !text.ends_with("libunwind.a: Tag_FP_arch: VFPv3"))
        .collect();
    println!("looked at {files:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Instructions that ARMv6 lacks, by mnemonic. (VFP's begin with v, too, and use s and d
/// registers.) `dmb` is not listed: musl has helpers for newer CPUs, which it selects at run time,
/// and three of those remain in a correct program.
fn is_beyond_armv6(mnemonic: &str, operands: &str) -> bool {
    const BEYOND: [&str; 11] =
        ["movw", "movt", "udiv", "sdiv", "ubfx", "sbfx", "bfi", "bfc", "rbit", "mls", "vld1"];
    BEYOND.iter().any(|name| mnemonic.starts_with(name))
        || mnemonic.starts_with("vst1")
        || mnemonic.starts_with("vfma")
        || (mnemonic.starts_with('v')
            && operands.split([',', ' ', '{', '}', '-']).any(is_newer_register))
}

/// A register that came with VFPv3 or NEON: d16 to d31, q0 to q15.
fn is_newer_register(operand: &str) -> bool {
    let number = |prefix| operand.strip_prefix(prefix)?.parse::<u8>().ok();
    number('q').is_some() || number('d').is_some_and(|n| n > 15)
}

/// LLVM's unwinder has these two for frames that hold the newer registers. Code for ARMv6 has no
/// such frames, so nothing calls them.
fn is_for_newer_unwinding(function: &str) -> bool {
    function.contains("libunwind") && function.contains("VFPv3")
}

#[test]
#[ignore = "make test-cross"]
fn no_instruction_in_the_program_for_the_first_pi_is_beyond_armv6() {
    let program = armv6().path;
    // Uses the linker's file with symbols, which tell code from data.
    let deps = program.parent().unwrap().join("deps");
    let mut linked = find(&deps, &|name| name.ends_with(".symbols"));
    linked.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
    let linked = linked.pop().expect("pi-cc-armv6 leaves brightstat-*.symbols in deps");
    let code = |file: &Path| {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("text");
        let argument = format!("--dump-section=.text={}", copy.display());
        let mut command = Command::new("arm-linux-gnueabihf-objcopy");
        let done = command.arg(argument).arg(file).arg(folder.path().join("rest")).status();
        assert!(done.unwrap().success(), "{}", file.display());
        std::fs::read(copy).unwrap()
    };
    assert!(code(&program) == code(&linked), "{} is of another build", linked.display());

    let text = output("arm-linux-gnueabihf-objdump", &["-d", "--no-show-raw-insn"], &linked);
    let mut instructions = 0;
    let mut wrong = Vec::new();
    let mut function = "";
    for line in text.lines() {
        if let Some((_, name)) = line.split_once(" <").filter(|_| line.ends_with(">:")) {
            function = name;
        }
        let mut fields = line.split('\t');
        let (Some(address), Some(mnemonic)) = (fields.next(), fields.next()) else { continue };
        if mnemonic.starts_with('.') {
            continue; // data between the code
        }
        instructions += 1;
        let operands: Vec<&str> = fields.collect();
        let operands = operands.join(" ");
        if is_beyond_armv6(mnemonic.trim(), &operands) && !is_for_newer_unwinding(function) {
            wrong.push(format!("{function} {address} {mnemonic} {operands}"));
        }
    }
    println!("looked at {instructions} instructions");
    assert!(instructions > 100_000, "{instructions} instructions: was it disassembled?");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "make test-cross"]
fn the_programs_need_nothing_of_the_system_that_they_are_put_on() {
    let needs = |program: &Program| {
        let text = output("readelf", &["-d", "-l"], &program.path);
        let is_need = |line: &&str| line.contains("(NEEDED)") || line.contains("INTERP");
        text.lines().filter(is_need).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(needs(&armv6()), [""; 0]);
    assert_eq!(needs(&aarch64()), [""; 0]);
}

/// Paths of the build machine would make builds differ, and reveal that machine.
#[test]
#[ignore = "make test-cross"]
fn no_program_holds_a_path_of_this_machine() {
    let home = std::env::var("CARGO_HOME").ok().or(std::env::var("HOME").ok()).unwrap();
    for program in [Program::native(), armv6(), aarch64()] {
        let bytes = std::fs::read(&program.path).unwrap();
        for path in [env!("CARGO_MANIFEST_DIR"), &home, "/registry/src/"] {
            assert!(path.len() > 4, "{path}: too short to look for");
            let is_there = bytes.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!is_there, "{} holds {path}", program.path.display());
        }
    }
}

#[test]
fn instructions_of_later_cpus_are_known_by_their_names() {
    for (mnemonic, operands) in [
        ("movw", "r0, #4660"),
        ("movteq", "r1, #1"),
        ("udiv", "r0, r1, r2"),
        ("ubfx", "r0, r1, #3, #4"),
        ("vadd.i32", "q0, q1, q2"),
        ("vldmia", "r0, {d16-d31}"),
        ("vld1.64", "{d0-d1}, [r0]"),
    ] {
        assert!(is_beyond_armv6(mnemonic, operands), "{mnemonic} {operands}");
    }
    for (mnemonic, operands) in [
        ("mov", "r0, #1"),
        ("movs", "r0, r1"),
        ("stmls", "r0, {r1, r2}"),
        ("vadd.f64", "d0, d1, d15"),
        ("vldmia", "r0, {d8-d15}"),
        ("umull", "r0, r1, r2, r3"),
        ("uxtb", "r0, r1"),
    ] {
        assert!(!is_beyond_armv6(mnemonic, operands), "{mnemonic} {operands}");
    }
}
