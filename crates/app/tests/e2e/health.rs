//! `postrider health`, `openapi`, `completions` and `man`, for containers, packages and client generators.

use std::net::TcpListener;
use std::process::Command;

use crate::client::Client;
use crate::running::{PIM, Running, postrider};

fn said(args: &[&str]) -> (Option<i32>, String) {
    let output = postrider(args).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn health_is_asked_by_the_binary_itself() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Running::start(folder.path(), &[]);
    let address = platform.address.clone();
    assert_eq!(said(&["health", "--listen", &address]), (Some(0), "live\n".to_owned()));
    assert_eq!(said(&["health", "--ready", "--url", &format!("http://{address}/")]), (Some(0), "ready\n".to_owned()));
    platform.kill();
    let (code, output) = said(&["health", "--listen", &address]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains(&format!("could not connect to {address}"))
            && output.contains("hint: is the platform running?"),
        "{output}"
    );
}

#[test]
fn health_does_not_wait_for_ever() {
    // The kernel accepts connections, but nothing responds.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap().to_string();
    let (code, output) = said(&["health", "--listen", &address, "--timeout", "1"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(&format!("no complete response from {address} within 1 s")), "{output}");
    assert_eq!(said(&["health", "--timeout", "0"]).0, Some(2));
    assert_eq!(said(&["health", "--url", "somewhere"]).0, Some(2));
    assert_eq!(said(&["health", "--listen", "127.0.0.1:0"]).0, Some(1), "port 0 is not an address");
}

#[tokio::test]
async fn openapi_equals_the_served_description() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["--public-url", "https://events.example.com", "--ingest-event-types", "com.example.order.paid"];
    let platform = Running::start_with(folder.path(), PIM, &settings, &[]);
    let served = Client::connect(&platform.address).await.unwrap().get("/openapi.json").await;
    let config = folder.path().join("postrider.toml");
    let development = ["--allow-http-destinations", "true", "--allow-networks", "127.0.0.0/8"];
    let args = [&["openapi", "--config", config.to_str().unwrap()], &settings[..], &development].concat();
    let (code, printed) = said(&args);
    assert_eq!(code, Some(0), "{printed}");
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, served);
    assert_eq!(printed["servers"][0]["url"], "https://events.example.com");
}

#[test]
fn bash_completes_commands_and_settings() {
    let (code, script) = said(&["completions", "bash"]);
    assert_eq!(code, Some(0), "{script}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider");
    std::fs::write(&file, script).unwrap();
    let completed = |words: &str, last: usize| {
        let ask = format!(
            "set -e; . '{}'; COMP_WORDS=({words}); COMP_CWORD={last}; _postrider postrider \"${{COMP_WORDS[{last}]}}\" \
             \"${{COMP_WORDS[{last}-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(completed("postrider he", 1), "health\nhelp\n");
    assert!(completed("postrider serve --delivery-rate", 2).contains("--delivery-rate-first\n"));
    for shell in ["zsh", "fish"] {
        let (code, script) = said(&["completions", shell]);
        assert!(code == Some(0) && script.contains("reseal"), "{script}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert_eq!(said(&["man", pages.to_str().unwrap()]), (Some(0), String::new()));
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    let (_, help) = said(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(commands.contains(&"serve") && commands.contains(&"man"), "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(page(&format!("postrider-{command}.1")).contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(page("postrider.1").contains(".TH postrider 1"));
    assert!(page("postrider-client-token-add.1").contains(".SH SETTINGS"));
    assert!(page("postrider-serve.1").contains("postrider serve \\-\\-config /etc/postrider/postrider.toml"));
}
