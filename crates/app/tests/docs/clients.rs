//! The client libraries of a release, generated from the program under test and installed from their archives, with the
//! programs of `examples/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dist::Release;
use parts::{generators, place, tool};
use serde_json::Value;
use wire::signature::SigningKey;

use crate::pages::root;
use crate::platform::Platform;

const SECRET: &str = "my_primary_secret";
const CREATED: &str = "com.akeneo.pim.v1.product.created";

/// The folder with the archives, made once; `None` if a generator is missing.
fn archives() -> Option<&'static Path> {
    static OUT: OnceLock<PathBuf> = OnceLock::new();
    if let Err(error) = generators::typescript().and_then(|_| generators::php()) {
        parts::left_out("the generators of clients", &error);
        return None;
    }
    let out = OUT.get_or_init(|| {
        let out = place::scratch("clients").unwrap();
        release().write_clients(&out).unwrap();
        out
    });
    Some(out)
}

fn release() -> Release {
    let binary = env!("CARGO_BIN_EXE_postrider").into();
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    Release { source: root(), binary, target, epoch: 1_700_000_000, compression: 1, clients: true }
}

fn archive(name: &str) -> String {
    format!("postrider-client-{name}").replace("{version}", env!("CARGO_PKG_VERSION"))
}

/// Unpacks an archive, without its outermost folder.
fn unpack(archive: &Path, into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    let mut tar = Command::new("tar");
    tool::run(tar.arg("-xzf").arg(archive).args(["--strip-components=1", "--directory"]).arg(into)).unwrap();
}

/// Copies the programs `names` of the examples into `folder`.
fn programs(folder: &Path, names: &[&str]) {
    for name in names {
        std::fs::copy(root().join("examples/clients").join(name), folder.join(name)).unwrap();
    }
}

/// Runs the two programs, `subscribe` and `events`, which `command` starts from `folder`.
fn subscribe_and_list(command: &str, folder: &Path, [subscribe, events]: [&str; 2]) {
    let mut platform = Platform::start(&[("CLIENT", folder.display().to_string())]);
    platform.run(&format!(
        r#"client() {{ POSTRIDER_PIM_URL=https://pim.example.com POSTRIDER_CLIENT_ID=my-app POSTRIDER_TOKEN=my-token \
             SECRET={SECRET} ENDPOINT="$1" {command} "$CLIENT/$2"; }}
           client "$RECEIVER" {subscribe} > outcome
           postrider emit --key "$KEY" --type product.created --count 3 --print > sent.jsonl
           postrider emit --key "$KEY" --file sent.jsonl
           client '' {events} > listed
           if client not-a-url {subscribe} 2> faults; then exit 1; fi"#
    ));
    let read = |file: &str| std::fs::read_to_string(platform.folder().join(file)).unwrap();
    let [test_event, event_type, outcome] = words(&read("outcome"));
    assert_eq!((event_type.as_str(), outcome.as_str()), (CREATED, "delivered"));
    let deliveries = platform.deliveries(4);
    let test = deliveries.iter().find(|delivery| event(&delivery.body)["id"] == test_event.as_str()).unwrap();
    let signature = SigningKey::new(&domain::Secret::new(SECRET)).akeneo(test.body.as_bytes());
    assert_eq!(test.headers["x-akeneo-signature-primary"], signature, "the secret has arrived");

    let id = |line: &str| event(line)["id"].as_str().unwrap().to_owned();
    let mut sent: Vec<String> = read("sent.jsonl").lines().map(id).collect();
    let mut listed: Vec<String> = read("listed")
        .lines()
        .map(words)
        .map(|[id, of, time]| {
            assert_eq!(of, CREATED);
            assert!(domain::Timestamp::parse(&time).is_some(), "{time}");
            id
        })
        .collect();
    sent.sort();
    listed.sort();
    assert_eq!(listed, sent, "each event once: the pages follow each other");
    assert!(read("faults").contains("config.url: "), "{}", read("faults"));
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn words(line: &str) -> [String; 3] {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    words.try_into().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn the_client_in_typescript() {
    let Some(archives) = archives() else { return };
    let packages = generators::typescript().unwrap().join("node_modules");
    let folder = place::scratch("client-typescript").unwrap();
    let modules = folder.join("node_modules");
    unpack(&archives.join(archive("typescript-{version}.tgz")), &modules.join("postrider-client"));
    for needed in ["openapi-fetch", "@types"] {
        std::os::unix::fs::symlink(packages.join(needed), modules.join(needed)).unwrap();
    }
    std::fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
    programs(&folder, &["subscribe.ts", "events.ts"]);
    let compile = |file: &str| {
        let options = ["--strict", "--module", "nodenext", "--target", "es2022"];
        let mut node = Command::new("node");
        tool::run(node.arg(packages.join("typescript/bin/tsc")).args(options).arg(file).current_dir(&folder))
    };
    compile("subscribe.ts").unwrap();
    compile("events.ts").unwrap();
    // The compiler knows paths, required members and event types.
    let right = std::fs::read_to_string(folder.join("subscribe.ts")).unwrap();
    for (from, to) in [(r#""/api/v1/subscribers","#, r#""/api/v1/subscriber","#), ("name: ", "nam: "), (CREATED, "x")] {
        assert!(right.contains(from));
        std::fs::write(folder.join("wrong.ts"), right.replacen(from, to, 1)).unwrap();
        let error = compile("wrong.ts").unwrap_err().to_string();
        assert!(error.contains("wrong.ts(") && error.contains(to.trim_matches(&['"', ',', ':', ' '][..])), "{error}");
    }
    subscribe_and_list("node", &folder, ["subscribe.js", "events.js"]);
}

#[test]
fn the_client_in_php() {
    let Some(archives) = archives() else { return };
    for needed in [tool::PHP, tool::MBSTRING, tool::CURL, tool::GUZZLE, tool::COMPOSER] {
        if let Err(error) = needed.require() {
            return parts::left_out("PHP", &error);
        }
    }
    let folder = place::scratch("client-php").unwrap();
    unpack(&archives.join(archive("php-{version}.tar.gz")), &folder.join("postrider-client"));
    // Guzzle is Debian's, which Composer does not know.
    std::fs::write(folder.join("guzzle.php"), "<?php require 'GuzzleHttp/autoload.php';").unwrap();
    let project = serde_json::json!({
        "repositories": [{"packagist.org": false}, {"type": "path", "url": "postrider-client"}],
        "require": {"postrider/client": "*"},
        "replace": {"guzzlehttp/guzzle": "7.4.5", "guzzlehttp/psr7": "2.4.5"},
        "autoload": {"files": ["guzzle.php"]},
    });
    std::fs::write(folder.join("composer.json"), project.to_string()).unwrap();
    let mut composer = Command::new("composer");
    composer.env("COMPOSER_ALLOW_SUPERUSER", "1").env("COMPOSER_HOME", folder.join("home"));
    tool::run(composer.args(["install", "--no-interaction", "--no-progress"]).current_dir(&folder)).unwrap();
    programs(&folder, &["subscribe.php", "events.php"]);
    // Any notice of PHP is an error here.
    let strict = "php -d display_errors=stderr -d error_reporting=-1 -d auto_prepend_file=$CLIENT/strict.php";
    let handler = "<?php set_error_handler(fn($no, $text) => throw new ErrorException($text));";
    std::fs::write(folder.join("strict.php"), handler).unwrap();
    subscribe_and_list(strict, &folder, ["subscribe.php", "events.php"]);
}

#[test]
fn the_same_document_gives_the_same_clients() {
    let Some(archives) = archives() else { return };
    let again = place::scratch("clients-again").unwrap();
    for file in release().write_clients(&again).unwrap() {
        let first = archives.join(file.file_name().unwrap());
        assert!(std::fs::read(&first).unwrap() == std::fs::read(&file).unwrap(), "{} differs", file.display());
    }
}
