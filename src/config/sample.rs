//! The sample configuration, made from the table of keys.

use super::keys::KEYS;
use super::units::WRITTEN;

/// The sample file: every key with its default, commented out, and its meaning.
pub fn sample() -> String {
    let mut text = String::from(
        "# brightstat.toml - every setting with its default.\n\
         #\n\
         # Better than to edit this file: put what you change into a file of your own in\n\
         # conf.d/ beside it, such as conf.d/local.toml. Files there are read in the order of\n\
         # their names, and the last word counts. Check with 'brightstat check-config'.\n\
         #\n",
    );
    for line in wrap(WRITTEN, 88) {
        text.push_str(&format!("# {line}\n"));
    }
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text.push_str(&format!("\n[{section}]\n"));
        } else {
            text.push('\n');
        }
        for line in wrap(&key.text(), 88) {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("#{} = {}\n", key.name, key.default));
    }
    text
}

/// Breaks a sentence into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
