//! Errors as a person reads them: what, where, why, and the way out.

use std::fmt::Write;

use outport_core::Error;

/// The styles of a terminal, or none.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether to use them.
    pub color: bool,
}

impl Style {
    /// Text in an ANSI style.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Bold.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What went wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What went well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What wants a look.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// The error with its context, its place, its causes and its hint, as lines that end in a line end.
pub fn render(error: &Error, style: Style) -> String {
    let mut out = String::new();
    one(&mut out, error, style);
    for other in error.others() {
        out.push('\n');
        one(&mut out, other, style);
    }
    out
}

fn one(out: &mut String, error: &Error, style: Style) {
    let context: String = error.contexts().iter().rev().map(|c| format!("{c}: ")).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{} {context}{}", style.red("error:"), error.message());
    if let Some(location) = error.location() {
        let _ = writeln!(out, "  {} {location}", style.dim("-->"));
        if let Some(text) = &location.text {
            let number = location.line.to_string();
            let _ = writeln!(out, "  {} {}", style.dim(&format!("{number} |")), text.trim_end());
            if location.column > 0 {
                let indent = " ".repeat(usize::try_from(location.column).unwrap_or(1) - 1);
                let _ = writeln!(
                    out,
                    "  {} {indent}{}",
                    style.dim(&format!("{} |", " ".repeat(number.len()))),
                    style.red("^")
                );
            }
        }
    }
    for cause in error.causes() {
        let _ = writeln!(out, "  {} {cause}", style.dim("cause:"));
    }
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(out, "  {} {hint}", style.bold("hint:"));
    }
}
