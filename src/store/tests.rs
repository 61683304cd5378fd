//! What the store makes of what it is given, and what it answers.

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
