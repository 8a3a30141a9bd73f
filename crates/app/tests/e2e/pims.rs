//! The configuration file as the authority on its PIMs, across restarts of the real program.

use std::time::Duration;

use crate::running::{PIM, Running, postrider};

const OTHER: &str = "
[[pims]]
name = \"other\"
url = \"https://other.example.com\"
keys = [\"a-key-of-the-other\", \"a-second-key-of-the-other\"]
token_check = \"static\"
";

fn stop(platform: Running) {
    platform.terminate();
    assert!(platform.wait(Duration::from_secs(30)).success());
}

fn takes(platform: &Running, key: &str) -> bool {
    let url = format!("http://{}", platform.address);
    postrider(&["emit", "--url", &url, "--key", key, "--type", "product.created"]).output().unwrap().status.success()
}

#[test]
fn pims_removed_from_the_file_are_withdrawn_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let both = format!("{PIM}{OTHER}");
    let start = |file: &str| Running::start_with(folder.path(), file, &[], &[]);
    let list = || {
        let listed = postrider(&["pim", "list", "--data-dir", data]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };

    let platform = start(&both);
    assert!(takes(&platform, "a-key-of-the-other") && takes(&platform, "a-second-key-of-the-other"));
    let added = postrider(&["pim", "add", "by-hand", "--url", "https://by-hand.example.com", "--data-dir", data]);
    let by_hand = String::from_utf8({ added }.output().unwrap().stdout).unwrap().trim().to_owned();
    stop(platform);

    let platform = start(&both.replace(", \"a-second-key-of-the-other\"", ""));
    assert!(takes(&platform, "a-key-of-the-other") && !takes(&platform, "a-second-key-of-the-other"));
    stop(platform);

    let platform = start(PIM);
    assert!(!takes(&platform, "a-key-of-the-other"), "its PIM is locked out");
    assert!(takes(&platform, &by_hand) && takes(&platform, "a-key-for-the-tests"));
    let listed = list();
    assert!(listed.contains("no longer in the configuration file") && listed.contains("from a command"), "{listed}");
    stop(platform);

    let platform = start(&both);
    assert!(takes(&platform, "a-key-of-the-other"), "as it was, now that the file names it again");
    stop(platform);

    let renamed = both.replace("\"other\"", "\"another\"");
    std::fs::write(folder.path().join("postrider.toml"), renamed).unwrap();
    let config = folder.path().join("postrider.toml");
    let serve = ["serve", "--config", config.to_str().unwrap(), "--data-dir", data, "--listen", "127.0.0.1:0"];
    let refused = postrider(&serve).output().unwrap();
    let output = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{output}");
    assert!(output.contains("postrider pim rename other another"), "{output}");
    assert!(postrider(&["pim", "rename", "other", "another", "--data-dir", data]).status().unwrap().success());
    let platform = start(&both.replace("\"other\"", "\"another\""));
    assert!(takes(&platform, "a-key-of-the-other"));
    stop(platform);
}
