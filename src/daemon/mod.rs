//! Puts the rooms together: threads, signals, privileges, systemd.

pub mod worker;
