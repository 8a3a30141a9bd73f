//! Pictures of the console in README and `docs/`: each is kept with the text that it shows and the stylesheet of that
//! moment. If a page says something else or looks different, the picture is outdated, and this test fails until
//! `cargo xtask docs` has made it again.

use std::path::PathBuf;

use crate::demo::Demo;
use crate::play::{gallery, play, root};

/// Names of the pictures.
const PICTURES: [&str; 4] = ["overview", "subscription", "event", "operator"];
/// Maximum size of a picture.
const MOST_BYTES: u64 = 150 * 1024;

fn picture(name: &str) -> PathBuf {
    root().join(format!("docs/images/console-{name}.png"))
}

fn text(name: &str) -> PathBuf {
    root().join(format!("crates/app/tests/browser/pictures/{name}.txt"))
}

#[test]
fn reference_page_pictures() {
    let folder = gallery().join("docs");
    std::fs::create_dir_all(&folder).unwrap();
    if !play("pictures.mjs", Demo::start) {
        return;
    }
    let updates = std::env::var_os("UPDATE_EXPECT").is_some();
    for name in PICTURES {
        let shown = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let known = std::fs::read_to_string(text(name)).unwrap_or_default();
        if updates && (shown != known || !picture(name).exists()) {
            std::fs::create_dir_all(picture(name).parent().unwrap()).unwrap();
            std::fs::create_dir_all(text(name).parent().unwrap()).unwrap();
            std::fs::copy(folder.join(format!("{name}.png")), picture(name)).unwrap();
            std::fs::write(text(name), &shown).unwrap();
        } else {
            assert_eq!(shown, known, "the picture {name} is outdated; make it again with: cargo xtask docs");
        }
        let bytes = std::fs::metadata(picture(name)).unwrap().len();
        assert!(bytes <= MOST_BYTES, "{} has {bytes} bytes", picture(name).display());
    }
}
