//! The command line: exit codes, and what is said when something is wrong.

use std::path::Path;

use crate::running::postrider;

#[track_caller]
fn check(args: &[&str], code: i32, expect: &str) {
    let output = postrider(args).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{text}");
    assert!(text.contains(expect), "{args:?}: expected to find\n  {expect}\nin\n{text}");
}

#[test]
fn help_explains_every_command() {
    check(&["--help"], 0, "Exit codes:");
    check(&["--version"], 0, "postrider 0.");
    for command in ["serve", "demo", "listen", "emit", "pim", "filter", "config", "backup", "reseal"] {
        check(&["--help"], 0, &format!("  {command} "));
        check(&[command, "--help"], 0, "Usage: postrider");
    }
    for command in ["serve", "listen", "emit", "pim", "config", "backup", "reseal"] {
        check(&[command, "--help"], 0, "Examples:");
    }
    check(&["serve", "--help"], 0, "POSTRIDER_DELIVERY_RATE_FIRST");
}

#[test]
fn wrong_command_lines_end_with_2() {
    check(&[], 2, "Usage: postrider <COMMAND>");
    check(&["sevre"], 2, "tip: a similar subcommand exists: 'serve'");
    check(&["serve", "--lisen", "x"], 2, "--listen");
    check(&["emit", "--type", "product.created"], 2, "--key <KEY>");
    check(&["emit", "--type", "product.creatd", "--print"], 2, "did you mean \"com.akeneo.pim.v1.product.created\"?");
    check(&["emit", "--type", "product.created", "--print", "--set", "nothing"], 2, "expected path=value");
    check(&["emit", "--list", "--type", "product.created"], 2, "cannot be used with");
    check(&["listen", "--respond", "200,sometimes"], 2, "expected a status from 200 to 599");
    check(&["pim", "add", "Main", "--url", "https://pim.example.com"], 2, "lower-case letters");
    check(&["pim", "add", "main", "--url", "pim.example.com"], 2, "is no base URL of a PIM");
}

#[test]
fn refused_configurations_end_with_3() {
    for command in ["serve", "config"] {
        check(&[command, "--config", "data/none.toml"], 3, "data/none.toml:1:1: the file cannot be read");
        check(&[command, "--listen", "here"], 3, "flag --listen: `listen`: expected an address and a port");
        check(&[command, "--delivery-rate-first", "1000"], 3, "1000 is not between");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n[delivery]\nrate_first = \"fast\"\n").unwrap();
    let path = file.to_str().unwrap();
    check(
        &["serve", "--config", path],
        3,
        "wrong.toml:1:1: `lisen`: there is no such setting\n  hint: did you mean `listen`?",
    );
    check(
        &["serve", "--config", path],
        3,
        "wrong.toml:3:14: `delivery.rate_first`: expected a number a second above 0",
    );
    check(&["config", "--log-level", "info", "--encryption-keys", "k1:c2VjcmV0"], 0, "keys = [\"***redacted***\"]");
    let data = folder.path().join("data");
    let serve =
        ["serve", "--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--encryption-keys", "k1:c2hvcnQ="];
    check(&serve, 3, "32");
}

#[test]
fn failures_end_with_1() {
    check(
        &["emit", "--url", "http://127.0.0.1:9", "--key", "k", "--type", "product.created"],
        1,
        "hint: is the platform running?",
    );
    check(&["emit", "--key", "k", "--file", "data/none.jsonl"], 1, "cannot read data/none.jsonl");
    check(&["filter", "check", "user=system"], 1, "values stand in double quotes");
}

#[test]
fn filters_can_be_tried_offline() {
    check(&["filter", "check", "not user=\"system\""], 0, "the filter is fine");
    check(&["filter", "check", "user=\"erp\"", "--events", "data/events.jsonl"], 0, "of 240 events match");
}

#[test]
fn a_data_folder_without_its_key_is_refused_with_4() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let token = [
        "pim",
        "add",
        "main",
        "--url",
        "https://pim.example.com",
        "--token-check",
        "static",
        "--static-token",
        "a=b",
        "--data-dir",
        data,
    ];
    check(&token, 0, "pr_");
    std::fs::remove_file(folder.path().join("data/encryption.keys")).unwrap();
    check(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data], 4, "which is not among the configured keys");
}

#[test]
fn backups_are_not_made_of_nothing_and_overwrite_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, backup) = (path("data"), path("backup"));
    check(&["backup", &backup, "--data-dir", &data], 1, "there is no database in");
    check(&["pim", "add", "main", "--url", "https://pim.example.com", "--data-dir", &data], 0, "pr_");
    check(&["backup", &backup, "--data-dir", &data], 0, "encryption.keys is not in it");
    check(&["backup", &backup, "--data-dir", &data], 1, "a backup is never overwritten");
    let keys = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    check(
        &["backup", &path("other"), "--data-dir", &data, "--encryption-keys", keys],
        0,
        "`encryption.keys` are not in it",
    );
    let without_key = ["serve", "--data-dir", &backup, "--listen", "127.0.0.1:0"];
    check(&without_key, 4, "which is not among the configured keys");
}
