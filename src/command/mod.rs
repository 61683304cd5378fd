//! The command line: what each subcommand does.

pub mod args;
pub mod report;

use crate::failure::Failure;

/// Runs the subcommand that was asked for.
///
/// # Errors
/// Whatever stopped it, for `main` to print and to turn into the exit code.
pub fn run(arguments: args::Arguments) -> Result<(), Failure> {
    use args::Command;
    match arguments.command {
        Command::Report(arguments) => report::run(&arguments),
        _ => todo!(),
    }
}
