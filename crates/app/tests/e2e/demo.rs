//! `postrider demo` prints the expected results, and ends by itself.

use crate::running::postrider;

#[test]
fn the_demo_ends_by_itself_with_every_event_verified() {
    let output = postrider(&["demo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("delivered, signatures verified").count(), 13, "{text}");
    assert_eq!(text.matches("  filtered out").count(), 4, "{text}");
    assert!(text.contains("postrider serve"), "{text}");
}
