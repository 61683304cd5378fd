//! See the door of this name in src/hostile.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brightstat::hostile::names(bytes));
