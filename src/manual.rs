//! Writes the manual pages, the completions and the reference of the API, from the tables of
//! options, settings and routes.
//!
//! A separate program, run when a package is built: `cargo run --example manual -- FOLDER`.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use brightstat::command::args::Arguments;
use brightstat::config::keys::{KEYS, WRITTEN};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        std::env::args_os().nth(1).ok_or("manual FOLDER: where to put man and completions")?;
    let folder = Path::new(&folder);
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Arguments::command(), "brightstat", &completions)?;
    }
    fs::write(folder.join("api-reference.md"), brightstat::web::routes::reference())?;
    Ok(write_pages(&folder.join("man"))?)
}

/// Writes brightstat(1), one page per subcommand, and brightstat.toml(5).
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    write_page(&command, directory)?;
    fs::write(directory.join("brightstat.toml.5"), configuration())
}

/// Writes the page of a command and those of its subcommands, each with the page of the guide
/// that goes with it.
fn write_page(command: &Command, directory: &Path) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_page(command, directory)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = Man::new(command.clone()).generate_to(directory)?;
    File::options().append(true).open(path)?.write_all(see_also(name).as_bytes())
}

/// Where the package installs the user guide.
pub(crate) const GUIDE: &str = "/usr/share/doc/brightstat";

/// The end of the manual page of a command such as `brightstat-query`.
fn see_also(command: &str) -> String {
    let page = match command.split('-').nth(1) {
        Some("run") => "package.md",
        Some("report") => "page.md",
        Some("check") => "settings.md",
        Some("interfaces") => "plug-in.md",
        Some("query" | "db") => "history.md",
        Some("backup") => "backup.md",
        Some("doctor") => "troubleshooting.md",
        Some("import") => "card.md",
        _ => "README.md",
    };
    let others = if command == "brightstat" { "" } else { "brightstat(1), " };
    format!(".SH \"SEE ALSO\"\n{others}brightstat.toml(5)\n{}", guide(page))
}

/// Names a page of the guide, and where the others are.
fn guide(page: &str) -> String {
    let index = match page {
        "README.md" => "",
        _ => "README.md lists the others. ",
    };
    let text = format!("The user guide: {GUIDE}/{page}. {index}").replace('-', "\\-");
    format!(".PP\n{}\n", text.trim_end())
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
         ignored. Every key has a default. SIGHUP reads the files anew.\n.PP\n",
    );
    page.push_str(&format!("{}\n", plain(WRITTEN)));
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
    page.push_str(&guide("settings.md"));
    page
}
