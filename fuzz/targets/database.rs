//! See the door of this name in src/hostile.rs. SQLite reads files, so each input becomes one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("brightstat-fuzz-{}.db", std::process::id()));
    if std::fs::write(&path, bytes).is_ok() {
        brightstat::hostile::database(&path);
        let _ = std::fs::remove_file(&path);
    }
});
