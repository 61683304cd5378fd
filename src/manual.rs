//! Writes the manual pages, the completions and the reference of the API, from the tables of
//! options, settings and routes.
//!
//! A separate program, run when a package is built: `cargo run --example manual -- FOLDER`.

use std::error::Error;
use std::fs;
use std::path::Path;

use brightstat::command::args::Arguments;
use brightstat::config::keys::KEYS;
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        std::env::args_os().nth(1).ok_or("manual FOLDER: where to put man and completions")?;
    let (man, completions) =
        (Path::new(&folder).join("man"), Path::new(&folder).join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Arguments::command(), &man)?;
    fs::write(man.join("brightstat.toml.5"), configuration())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Arguments::command(), "brightstat", &completions)?;
    }
    fs::write(Path::new(&folder).join("api-reference.md"), brightstat::web::routes::reference())?;
    Ok(())
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
