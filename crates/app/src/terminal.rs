//! Terminal output of commands, coloured only on a terminal.

use std::fmt::Display;
use std::io::Write;
use std::process;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// Success.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Failure.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// More important.
pub(crate) const BOLD: Style = Style::new().bold();

/// Styled text; plain if output is not a terminal or `NO_COLOR` is set.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a line to standard output. Exits quietly if the reader is gone (`postrider … | head`).
pub(crate) fn line(text: impl Display) {
    let mut out = anstream::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        process::exit(0);
    }
}

/// Prints a line to standard output, if there is a reader: a server keeps running without one.
pub(crate) fn announce(text: impl Display) {
    let mut out = anstream::stdout().lock();
    _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line to standard error immediately: other programs write to the same terminal.
pub(crate) fn note(text: impl Display) {
    let stderr = std::io::stderr();
    let mut whole = AutoStream::new(Vec::new(), AutoStream::choice(&stderr));
    // There is no other place to report this.
    _ = writeln!(whole, "{text}");
    _ = stderr.lock().write_all(&whole.into_inner());
}

/// Prints `error: …` to standard error; a final paragraph that begins with `hint:` is set apart.
pub(crate) fn error(text: &str) {
    let bad = BAD.bold();
    let text = text.replace("hint:", &styled(BOLD, "hint:"));
    note(format_args!("{bad}error{bad:#}: {text}"));
}
