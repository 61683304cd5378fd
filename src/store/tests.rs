//! Tests of the store: what it writes, and what it answers.

mod events;
mod files;
mod fixtures;
mod jumps;
mod migration;
mod pulse;
mod queries;
mod random;
mod retention;
mod tiers;
mod together;
mod trouble;
mod upkeep;
mod views;
