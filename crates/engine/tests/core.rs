//! The core without a driver: what a clock that is set does to it.

use domain::{Position, Timestamp};
use engine::Settings;
use engine::core::{Core, Input, Output};

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn saves(core: &mut Core) -> usize {
    std::iter::from_fn(|| core.poll()).filter(|output| matches!(output, Output::Save(_))).count()
}

/// Found by simulation (seed 3075): after a save that failed the clock was set back, and nothing was saved for as long as that.
#[test]
fn a_step_back_of_the_clock_does_not_put_saves_off() {
    let mut core = Core::new(Settings::default(), Position::FIRST, START);
    core.handle(START + std::time::Duration::from_secs(1), Input::Events(Vec::new(), Position(5)));
    assert_eq!(saves(&mut core), 1);
    core.handle(START + std::time::Duration::from_secs(1), Input::Saved(false));
    let back = START - std::time::Duration::from_secs(3600);
    core.handle(back, Input::Timeout);
    let again_at = core.poll_timeout().expect("the save is to be tried again");
    assert!(again_at <= back + std::time::Duration::from_secs(10), "not before {again_at}");
    core.handle(again_at, Input::Timeout);
    assert_eq!(saves(&mut core), 1);
}
