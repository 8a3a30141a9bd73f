//! The required figures of the rate: an endpoint's capacity is found within a minute, used, and followed.

#[test]
fn a_capacity_is_found_used_and_followed() {
    let (fixed, _) = simulation::rates::figures_hold().unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(fixed.seconds.len(), 600);
}
