//! The counters, fed with records that the decoder made of small frames.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conservation;
mod errors;
mod flood;
mod flows;
mod hosts;
mod model;
mod rates;
mod services;
mod sharing;
mod traffic;
