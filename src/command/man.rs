//! The manual pages and the completions, from the table of options and that of settings.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

use super::args::Arguments;
use crate::config::keys::KEYS;
use crate::failure::{Exit, Failure};

/// Writes brightstat(1), one page per subcommand, and brightstat.toml(5).
///
/// # Errors
/// The directory cannot be written.
pub fn write(directory: &Path) -> Result<(), Failure> {
    let failed = |e: io::Error| {
        Failure::new(
            Exit::Io,
            format!("{}: cannot write the manual pages: {e}", directory.display()),
        )
    };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(failed)?;
    fs::write(directory.join("brightstat.toml.5"), configuration()).map_err(failed)
}

/// Writes completions for bash (`brightstat.bash`), zsh (`_brightstat`) and fish
/// (`brightstat.fish`).
///
/// # Errors
/// The directory cannot be written.
pub fn write_completions(directory: &Path) -> Result<(), Failure> {
    let write = |shell| generate_to(shell, &mut Arguments::command(), "brightstat", directory);
    let done = fs::create_dir_all(directory).and_then(|()| {
        [Shell::Bash, Shell::Zsh, Shell::Fish]
            .into_iter()
            .try_for_each(|shell| write(shell).map(drop))
    });
    done.map_err(|e| {
        Failure::new(
            Exit::Io,
            format!("{}: cannot write the completions: {e}", directory.display()),
        )
    })
}

/// brightstat.toml(5) in roff.
fn configuration() -> String {
    // A line of text must not begin with a dot or a quote, nor hold a bare backslash.
    let plain = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut page = String::from(
        ".TH brightstat.toml 5 \"\" \"brightstat\" \"Configuration\"\n\
         .SH NAME\nbrightstat.toml \\- configuration of brightstat(1)\n\
         .SH DESCRIPTION\n\
         TOML. Read from /etc/brightstat/brightstat.toml if it is there, then from conf.d/*.toml \
         beside it in the order of names; the last word counts. Unknown keys are warned about and \
         ignored. Every key has a default. SIGHUP reads the files anew.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            page.push_str(&format!(".SH [{section}]\n"));
        }
        page.push_str(&format!(
            ".TP\n\\fB{}\\fR = {}\n{}\n",
            plain(key.name),
            plain(key.default),
            plain(&key.text())
        ));
    }
    page.push_str(".SH SEE ALSO\nbrightstat(1), pcap\\-filter(7)\n");
    page
}
