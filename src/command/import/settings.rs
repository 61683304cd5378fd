//! Parses and checks `brightstat.toml` on the boot partition.
//!
//! It has few keys and no sections, for people who see TOML for the first time. All mistakes are
//! reported at once: to correct one, the owner has to carry the card to a computer and back.

use toml::de::{DeTable, DeValue};

use crate::config::Config;
use crate::config::keys::{self, whole};

/// How the Pi is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One cable; incoming frames are counted.
    #[default]
    Mirror,
    /// Two cables; passing frames are counted.
    Bridge,
    /// The Pi routes; frames from the inside are counted.
    Gateway,
}

/// The settings of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// The line of `mode`.
    pub(crate) mode_line: Option<usize>,
    /// The watched interfaces, or the two ports of the bridge; empty if not set.
    pub(crate) interfaces: Vec<String>,
    /// The page's port besides 667.
    pub(crate) port: Option<u16>,
    /// brightstat's own keys: section, name, and the value as it was written.
    keys: Vec<(&'static str, &'static str, String)>,
}

/// A mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mistake {
    /// Counted from 1, if it has a line.
    pub(crate) line: Option<usize>,
    /// What is wrong (with the key, if it concerns one) and what to do.
    pub(crate) what: String,
}

impl Mistake {
    pub(crate) fn new(line: Option<usize>, what: impl Into<String>) -> Mistake {
        Mistake { line, what: what.into() }
    }

    /// In the format of errors in configuration files.
    pub(crate) fn tell(&self, file: &str) -> String {
        let line = self.line.map(|line| format!("{line}:")).unwrap_or_default();
        format!("{file}:{line} {}", self.what)
    }
}

/// The bridge that mode "bridge" creates.
pub(crate) const BRIDGE: &str = "br0";
/// The port at which the page is always served.
pub(crate) const FIXED_PORT: u16 = 667;
/// Keys of the file that are keys of brightstat, with their sections.
const OWN: [(&str, &str); 3] =
    [("capture", "interfaces"), ("network", "local"), ("history", "keep")];
const KNOWN: &str = "mode, interfaces, local, keep and port";

/// The text of the file, from any editor: with a byte order mark, with DOS line ends, or in UTF-16,
/// which Windows used to call "Unicode".
pub(crate) fn decode(bytes: &[u8]) -> Result<String, Mistake> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]])).collect();
        String::from_utf16(&units)
            .map_err(|_| Mistake::new(None, "not a text; save it as plain text (UTF-8)"))
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes)?,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(e) => {
                let good = &bytes[..e.valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                let what = "a letter that is not UTF-8; save the file as plain text in UTF-8";
                return Err(Mistake::new(Some(line), what));
            }
        },
    };
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Reads the settings.
///
/// # Errors
/// Everything that is wrong, in the order of the lines.
pub(crate) fn read(text: &str) -> Result<Settings, Vec<Mistake>> {
    let line = |at: usize| Some(text[..at.min(text.len())].matches('\n').count() + 1);
    let table = DeTable::parse(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let what = e.message().replace('\n', ", ");
        let what = format!("{what}; lines are like  mode = \"bridge\"  or  port = 8080");
        vec![Mistake::new(line(at), what)]
    })?;
    let mut settings = Settings::default();
    let mut config = Config::default();
    let mut mistakes = Vec::new();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        let at = line(value.span().start);
        let raw = &text[value.span()];
        let done = match name {
            "mode" => mode(value.get_ref()).map(|mode| {
                settings.mode = mode;
                settings.mode_line = at;
            }),
            "port" => port(value.get_ref()).map(|port| settings.port = Some(port)),
            _ => settings.own(&mut config, name, value.get_ref(), raw),
        };
        if let Err(problem) = done {
            mistakes.push(Mistake::new(at, format!("{name}: {problem}")));
        }
    }
    settings.interfaces = config.interfaces.clone();
    let line_of = |name: &str| table.get_ref().get(name).and_then(|v| line(v.span().start));
    for name in settings.interfaces.iter().filter(|name| !is_interface_name(name)) {
        let what = format!("interfaces: \"{name}\" is no interface; expected one such as \"eth0\"");
        mistakes.push(Mistake::new(line_of("interfaces"), what));
    }
    match (settings.mode, settings.interfaces.len()) {
        (Mode::Bridge, 1) => mistakes.push(Mistake::new(
            line_of("interfaces"),
            "interfaces: a bridge has two ends; name both, or leave the line out: then all \
             Ethernet plugs are its ends",
        )),
        (Mode::Gateway, 0) if !table.get_ref().contains_key("interfaces") => {
            mistakes.push(Mistake::new(
                settings.mode_line,
                "mode: \"gateway\" needs the line  interfaces = [\"...\"]  with the plug that leads to \
                 your devices; the other one shows the Pi's own address only",
            ));
        }
        _ => {}
    }
    if let Err(problem) = config.check_tiers() {
        mistakes.push(Mistake::new(line_of("keep"), format!("keep: {problem}")));
    }
    mistakes.sort();
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

impl Settings {
    /// Sets one of brightstat's own keys.
    fn own(
        &mut self,
        config: &mut Config,
        name: &str,
        value: &DeValue<'_>,
        raw: &str,
    ) -> Result<(), String> {
        let own = OWN.iter().find(|(_, own)| *own == name);
        let key = own.and_then(|own| keys::KEYS.iter().find(|k| (k.section, k.name) == *own));
        let Some(key) = key else {
            return Err(match value {
                DeValue::Table(_) => format!(
                    "there are no sections in this file; it has the keys {KNOWN}, and other \
                     settings go into /etc/brightstat/conf.d/ on the Pi"
                ),
                _ => format!("there is no such key; there are {KNOWN}"),
            });
        };
        (key.set)(config, value)?;
        self.keys.push((key.section, key.name, raw.to_owned()));
        Ok(())
    }

    /// The configuration file that brightstat reads.
    pub(crate) fn configuration(&self, from: &str) -> String {
        let mut text = format!(
            "# Made by 'brightstat import' from {from},\n# and made anew when that file has \
             changed. Settings of your own go into another file here.\n"
        );
        if self.mode == Mode::Bridge {
            // The bridge itself, not its ports. The capture makes it promiscuous, so it receives
            // every passing frame once, and the Pi's own frames too. Both ports together would see
            // each frame twice; a single port would miss what the Pi sends to the other side.
            text.push_str(&format!("\n[capture]\ninterfaces = [\"{BRIDGE}\"]\n"));
        }
        for (section, name, value) in &self.keys {
            if !(self.mode == Mode::Bridge && *name == "interfaces") {
                text.push_str(&format!("\n[{section}]\n{name} = {value}\n"));
            }
        }
        text
    }
}

fn mode(value: &DeValue<'_>) -> Result<Mode, String> {
    match value.as_str() {
        Some("mirror") => Ok(Mode::Mirror),
        Some("bridge") => Ok(Mode::Bridge),
        Some("gateway") => Ok(Mode::Gateway),
        Some(other) => {
            Err(format!("expected \"mirror\", \"bridge\" or \"gateway\", found \"{other}\""))
        }
        None => Err("expected \"mirror\", \"bridge\" or \"gateway\", in quotes".to_owned()),
    }
}

fn port(value: &DeValue<'_>) -> Result<u16, String> {
    match whole(value, 1, 65_535)? {
        22 => Err("22 is that of ssh; take another, such as 8080".to_owned()),
        port => Ok(port as u16),
    }
}

/// Whether the kernel accepts such a name (at most 15 bytes) and a network manager's file cannot
/// misread it.
fn is_interface_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    (1..=15).contains(&name.len()) && name.chars().all(is_good) && !name.starts_with(['.', '-'])
}
