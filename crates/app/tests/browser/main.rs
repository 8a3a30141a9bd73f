//! The console in a real browser, against the real binary: Debian's Chromium, driven by Playwright, and axe, which
//! checks accessibility. Each test is a chapter in `chapters/`; pictures of all pages are left in
//! `target/console`, for a person to look at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was found or left out is shown by `cargo xtask test`")]

mod demo;
mod pictures;
mod platform;
mod play;

use platform::{PIMS, Platform};
use play::play;

#[test]
fn pages_with_data_and_without() {
    play("pages.mjs", || Platform::start(PIMS));
}

#[test]
fn pages_of_the_operator() {
    play("operator.mjs", || Platform::start(PIMS));
}

#[test]
fn pages_of_an_operator_without_pims() {
    play("nothing.mjs", || Platform::start(""));
}

#[test]
fn actions_and_their_refusals() {
    play("actions.mjs", || Platform::start(PIMS));
}

#[test]
fn signing_in_and_its_end() {
    play("sessions.mjs", || Platform::start(PIMS));
}

#[test]
fn hostile_payloads_and_other_tenants() {
    play("strangers.mjs", || Platform::start(PIMS));
}

#[test]
fn without_scripts_and_without_a_mouse() {
    play("bare.mjs", || Platform::start(PIMS));
}

#[test]
fn numbers_at_the_pointer_copies_and_times() {
    play("comforts.mjs", || Platform::start(PIMS));
}

#[test]
fn pages_in_frames() {
    play("frames.mjs", Platform::framed);
}

#[test]
fn a_pim_that_goes_down() {
    play("down.mjs", || Platform::start(&format!("tokens.yes_for = \"1s\"\n{PIMS}")));
}

#[test]
fn ten_thousand_subscriptions() {
    play("many.mjs", || Platform::start(&platform::many_pims()));
}
