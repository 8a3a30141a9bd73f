//! The command line: exit codes, and what is said when something is wrong.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

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
    for command in [
        "serve",
        "demo",
        "listen",
        "emit",
        "pim",
        "client",
        "events",
        "replay",
        "test",
        "filter",
        "config",
        "backup",
        "reseal",
        "health",
        "openapi",
        "completions",
        "man",
    ] {
        check(&["--help"], 0, &format!("  {command} "));
        check(&[command, "--help"], 0, "Usage: postrider");
    }
    for command in [
        "serve",
        "listen",
        "emit",
        "pim",
        "client",
        "events",
        "replay",
        "test",
        "config",
        "backup",
        "reseal",
        "health",
        "openapi",
        "completions",
    ] {
        check(&[command, "--help"], 0, "Examples:");
    }
    check(&["serve", "--help"], 0, "POSTRIDER_DELIVERY_RATE_FIRST");
}

#[test]
fn wrong_command_lines_end_with_2() {
    check(&[], 2, "Usage: postrider <COMMAND>");
    check(&["sevre"], 2, "tip: some similar subcommands exist: 'events', 'serve'");
    check(&["serve", "--lisen", "x"], 2, "--listen");
    check(&["emit", "--type", "product.created"], 2, "--key <KEY>");
    check(&["emit", "--type", "product.creatd", "--print"], 2, "did you mean \"com.akeneo.pim.v1.product.created\"?");
    check(&["emit", "--type", "product.created", "--print", "--set", "nothing"], 2, "expected path=value");
    check(&["emit", "--list", "--type", "product.created"], 2, "cannot be used with");
    check(&["listen", "--respond", "200,sometimes"], 2, "expected a status from 200 to 599");
    check(&["pim", "add", "Main", "--url", "https://pim.example.com"], 2, "lower-case letters");
    check(&["pim", "add", "main", "--url", "pim.example.com"], 2, "is not the base URL of a PIM");
    check(&["listen", "--forward-to", "/hook"], 2, "is not an http:// or https:// URL");
}

#[test]
fn refused_configurations_end_with_3() {
    for command in ["serve", "config"] {
        check(&[command, "--config", "data/none.toml"], 3, "data/none.toml:1:1: cannot read the file");
        check(&[command, "--listen", "here"], 3, "flag --listen: `listen`: expected an address and a port");
        check(&[command, "--delivery-rate-first", "1000"], 3, "1000 is not between");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:0\"\n[delivery]\nrate_first = \"fast\"\n").unwrap();
    let path = file.to_str().unwrap();
    check(&["serve", "--config", path], 3, "wrong.toml:1:1: `lisen`: unknown setting\n  hint: did you mean `listen`?");
    check(
        &["serve", "--config", path],
        3,
        "wrong.toml:3:14: `delivery.rate_first`: expected a number per second above 0",
    );
    let key = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    check(&["config", "--log-level", "info", "--encryption-keys", key], 0, "keys = [\"***redacted***\"]");
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
    check(&["filter", "check", "user=system"], 1, "values must be in double quotes");
}

#[test]
fn filters_can_be_tried_offline() {
    check(&["filter", "check", "not user=\"system\""], 0, "valid filter");
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
        "--create",
        "--data-dir",
        data,
    ];
    check(&token, 0, "pr_");
    let key_file = folder.path().join("data/encryption.keys");
    std::fs::remove_file(&key_file).unwrap();
    // Where the service has its key in its environment, a command without it must not make another one.
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["pim", "list"], &["pim", "rotate-key", "main"]] {
        check(&[command, &["--data-dir", data]].concat(), 4, "the encryption key of");
        assert!(!key_file.exists(), "{command:?} leaves no stray key file");
    }
}

#[test]
fn backups_need_a_database_and_never_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, backup) = (path("data"), path("backup"));
    check(&["backup", &backup, "--data-dir", &data], 1, "there is no database in");
    check(&["pim", "add", "main", "--url", "https://pim.example.com", "--create", "--data-dir", &data], 0, "pr_");
    check(&["backup", &backup, "--data-dir", &data], 0, "encryption.keys is not included");
    check(&["backup", &backup, "--data-dir", &data], 1, "a backup is never overwritten");
    let keys = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    check(
        &["backup", &path("other"), "--data-dir", &data, "--encryption-keys", keys],
        0,
        "`encryption.keys` are not included",
    );
    let without_key = ["serve", "--data-dir", &backup, "--listen", "127.0.0.1:0"];
    check(&without_key, 4, "the encryption key of");
}

/// Standard output and error of a command that reads `input`.
fn said(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = postrider(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn config_rejects_the_same_as_serve() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.toml");
    let data = folder.path().join("data");
    let two = |second: &str| {
        format!(
            "[[pims]]\nname = \"a\"\nurl = \"https://a.example.com\"\nkeys = \
             [\"the-key-of-both-of-them\"]\n[[pims]]\n{second}"
        )
    };
    let wrong = [
        ("[log]\nlevel = \"info,=x=\"".to_owned(), "`log.level`"),
        ("[encryption]\nkeys = [\"k1:c2hvcnQ=\"]".to_owned(), "`encryption.keys`"),
        ("[encryption]\nkeys = [\"c2hvcnQ=\"]".to_owned(), "a key has no id"),
        ("[pubsub]\nrequest_timeout = \"1ms\"".to_owned(), "must be at least 100ms"),
        ("[smtp]\nhost = \"mail.example.com\"\nfrom = \"nobody\"".to_owned(), "`smtp.from`"),
        ("extra_roots = [\"postrider.toml\"]".to_owned(), "`extra_roots`"),
        ("[api]\noperator_key = \"a key with blanks in it, and long\"".to_owned(), "contains spaces"),
        ("[metrics]\nkey = \"'a-key-that-kept-its-quotes'\"".to_owned(), "is in quotation marks"),
        ("[[pims]]\nname = \"a\"\nurl = \"https://a.example.com:0\"".to_owned(), "`pims.url`"),
        (two("name = \"b\"\nurl = \"https://A.example.com/\""), "\"a\" and \"b\" have the same URL"),
        (
            two("name = \"b\"\nurl = \"https://b.example.com\"\nkeys = [\"the-key-of-both-of-them\"]"),
            "\"a\" and \"b\" have the same key",
        ),
    ];
    for (text, expect) in wrong {
        std::fs::write(&file, text).unwrap();
        for command in [&["config"][..], &["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]] {
            let args = [command, &["--config", file.to_str().unwrap()]].concat();
            let output = postrider(&args).current_dir(folder.path()).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{args:?}\n{said}");
            assert!(said.contains(expect) && !said.contains("the-key-of-both"), "{expect} in\n{said}");
        }
    }
}

#[test]
fn commands_refuse_a_folder_that_is_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let add = ["pim", "add", "main", "--url", "https://pim.example.com"];
    for command in [
        &add[..],
        &["pim", "list"],
        &["pim", "rotate-key", "main"],
        &["client", "token", "add", "main", "app"],
        &["reseal"],
    ] {
        let args = [command, &["--data-dir", other.to_str().unwrap()]].concat();
        check(&args, 4, &format!("{} is not a data folder", other.display()));
        assert!(!other.exists(), "{command:?} makes nothing");
    }
    let created = [&add[..], &["--create", "--data-dir", data.to_str().unwrap()]].concat();
    check(&created, 0, &format!("in {}", data.display()));
    check(&["pim", "list", "--data-dir", data.to_str().unwrap()], 0, "from a command");
}

#[cfg(target_os = "linux")]
#[test]
fn root_never_writes_to_another_users_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("left out: only root can give a folder to another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data_dir = data.to_str().unwrap();
    check(&["pim", "add", "main", "--url", "https://pim.example.com", "--create", "--data-dir", data_dir], 0, "pr_");
    for file in std::fs::read_dir(&data).unwrap() {
        chown(file.unwrap().path(), Some(4242), None).unwrap();
    }
    chown(&data, Some(4242), None).unwrap();
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let before = files();
    check(&["pim", "rotate-key", "main", "--data-dir", data_dir], 4, "belongs to another user (uid 4242)");
    assert_eq!(files(), before);
}

#[test]
fn secrets_come_from_files_and_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    std::fs::write(path("tokens"), "app=token-of-the-app\nother=token-of-the-other\n").unwrap();
    let add = [
        "pim",
        "add",
        "main",
        "--url",
        "https://pim.example.com",
        "--token-check",
        "static",
        "--create",
        "--data-dir",
        &data,
    ];
    let (code, out, err) = said(
        &[&add[..], &["--static-token-file", &path("tokens"), "--events-api-secret", "-"]].concat(),
        "from standard input\n",
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("from standard input\n"), "{out}");
    check(&["pim", "list", "--data-dir", &data], 0, "static token of client other");
    std::fs::write(path("secret"), "from-a-file\n").unwrap();
    let (code, out, err) =
        said(&["pim", "events-api", "main", "--secret-file", &path("secret"), "--data-dir", &data], "");
    assert_eq!((code, out.contains("from-a-file\n")), (Some(0), true), "{out}{err}");
    std::fs::write(path("key"), format!("{}\n", "k".repeat(24))).unwrap();
    check(&["config", "--api-operator-key-file", &path("key")], 0, "operator_key = \"***redacted***\"");
    std::fs::write(path("short"), "k\n").unwrap();
    check(&["config", "--api-operator-key-file", &path("short")], 3, "is shorter than 24 characters");
    let output = postrider(&["config"]).env("POSTRIDER_METRICS_KEY_FILE", path("none")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("environment variable POSTRIDER_METRICS_KEY_FILE: `metrics.key`: cannot read the secret"),
        "{said}"
    );
}

#[test]
fn tokens_of_the_platform_are_issued_listed_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let in_data = |args: &[&str]| {
        let (code, out, err) = said(&[args, &["--data-dir", data.to_str().unwrap()]].concat(), "");
        (code, out, err)
    };
    let add =
        ["pim", "add", "shop", "--url", "https://pim.example.com", "--token-check", "system-information", "--create"];
    assert_eq!(in_data(&add).0, Some(0));
    let token = in_data(&["client", "token", "add", "shop", "1_abc"]).1;
    assert!(token.starts_with("pt_") && token.ends_with('\n') && token.len() == 52, "the token alone: {token:?}");
    let listed = in_data(&["client", "token", "list", "shop", "1_abc"]).1;
    assert!(listed.starts_with(&token[..11]) && !listed.contains(token.trim()), "{listed}");
    let remove = ["client", "token", "remove", "shop", "1_abc", &token[..11]];
    assert_eq!(in_data(&remove).0, Some(0));
    let (code, _, err) = in_data(&remove);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("postrider client token list shop 1_abc"), "{err}");
    assert!(in_data(&["client", "token", "add", "shop", " x"]).2.contains("the client id contains spaces"));
    assert!(in_data(&["client", "token", "add", "shp", "x"]).2.contains("did you mean \"shop\""));
}

#[test]
fn a_pim_gets_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let add = |name: &str, url: &str, code: i32, expect: &str| {
        check(&["pim", "add", name, "--url", url, "--create", "--data-dir", data], code, expect);
    };
    add("main", "https://pim.example.com", 0, "pr_");
    add("other", "https://PIM.example.com:443/", 1, "the URL is that of the PIM \"main\"");
    add("other", "https://other.example.com", 0, "pr_");
    check(&["pim", "rename", "main", "other", "--data-dir", data], 1, "a PIM named \"other\" is already registered");
    check(&["pim", "rename", "main", "Shop", "--data-dir", data], 2, "lower-case letters");
    check(&["pim", "rename", "main", "shop", "--data-dir", data], 0, "renamed PIM main to shop");
    check(&["pim", "list", "--data-dir", data], 0, "shop  https://pim.example.com");
}
