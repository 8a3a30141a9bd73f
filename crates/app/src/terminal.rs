//! The terminal: what commands say on standard output and standard error, coloured only where somebody looks.

use std::fmt::Display;
use std::io::Write;
use std::process;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// For what succeeded.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// For what failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// For what matters less.
pub(crate) const DIM: Style = Style::new().dimmed();
/// For what matters more.
pub(crate) const BOLD: Style = Style::new().bold();

/// Text in a style; the style is left out where output is no terminal or `NO_COLOR` is set.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes a line on standard output. Ends the process quietly when nobody reads on (`postrider … | head`).
pub(crate) fn line(text: impl Display) {
    let mut out = anstream::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        process::exit(0);
    }
}

/// Writes a line on standard output, if somebody reads it: what serves goes on when nobody does.
pub(crate) fn announce(text: impl Display) {
    let mut out = anstream::stdout().lock();
    _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes a line on standard error, at once: other programs write to the same terminal.
pub(crate) fn note(text: impl Display) {
    let stderr = std::io::stderr();
    let mut whole = AutoStream::new(Vec::new(), AutoStream::choice(&stderr));
    // There is nowhere left to complain to.
    _ = writeln!(whole, "{text}");
    _ = stderr.lock().write_all(&whole.into_inner());
}

/// Writes `error: …` on standard error; a last paragraph that begins with `hint:` is set apart.
pub(crate) fn error(text: &str) {
    let bad = BAD.bold();
    let text = text.replace("hint:", &styled(BOLD, "hint:"));
    note(format_args!("{bad}error{bad:#}: {text}"));
}
