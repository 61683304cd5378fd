//! The command line: parse, dispatch, exit code. Nothing else.

use std::process::ExitCode;

use brightstat::command::{self, args::Arguments};
use brightstat::failure::Exit;
use clap::Parser;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage as u8 } else { 0 };
            // Only a closed pipe can go wrong here.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match command::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command::complain(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}
