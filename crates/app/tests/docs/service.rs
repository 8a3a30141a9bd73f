//! Integration files for operators: the systemd unit, and nginx or Caddy in front of the platform.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use parts::tool::{self, NGINX, OPENSSL, Tool};
use parts::{Process, place, port};

use crate::pages::root;
use crate::platform::Platform;

const SYSTEMD: Tool = Tool { program: "systemd-analyze", version: "--version", package: "systemd" };
const CADDY: Tool = Tool { program: "caddy", version: "version", package: "caddy" };

/// Maximum exposure of our service according to systemd, times ten; 96 without any protection.
const MOST_EXPOSED: &str = "--threshold=15";

#[test]
fn the_unit_is_one_and_protects() {
    if let Err(error) = SYSTEMD.require() {
        return parts::left_out("systemd-analyze", &error);
    }
    let unit = fs::read_to_string(root().join("docs/operators/postrider.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.service");
    fs::write(&file, unit.replace("/usr/local/bin/postrider", env!("CARGO_BIN_EXE_postrider"))).unwrap();
    let verify = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("postrider.service")).collect();
    assert!(verify.status.success() && about_it.is_empty(), "{said}");
    let mut security = Command::new("systemd-analyze");
    tool::run(security.args(["security", "--offline=yes", "--no-pager", MOST_EXPOSED]).arg(&file)).unwrap();
    // The unit's command must be valid.
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/postrider serve")).unwrap();
    let mut config = Command::new(env!("CARGO_BIN_EXE_postrider"));
    config.arg("config").args(start.replace("/etc/postrider/postrider.toml", "/dev/null").split_whitespace());
    tool::run(&mut config).unwrap();
}

/// A platform, and the port, certificate and folder for a proxy in front of it.
struct Front {
    platform: Platform,
    scratch: PathBuf,
    port: u16,
    certificate: PathBuf,
    key: PathBuf,
}

impl Front {
    fn new(name: &str) -> Front {
        let (scratch, port) = (place::scratch(name).unwrap(), port::free());
        let (certificate, key) = (scratch.join("certificate.pem"), scratch.join("key.pem"));
        let names = ["-subj", "/CN=events.example.com", "-addext", "subjectAltName=DNS:events.example.com"];
        let mut make = Command::new("openssl");
        make.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        tool::run(make.args(names).arg("-keyout").arg(&key).arg("-out").arg(&certificate)).unwrap();
        let platform = Platform::start(&[
            ("POSTRIDER_API_OPERATOR_KEY", "the-key-of-the-operator-here".to_owned()),
            ("PROXY", format!("https://events.example.com:{port}")),
            ("RESOLVE", format!("events.example.com:{port}:127.0.0.1")),
            ("CERTIFICATE", certificate.display().to_string()),
        ]);
        Front { platform, scratch, port, certificate, key }
    }

    /// Starts a proxy and checks requests through it.
    fn check(mut self, proxy: &Command) {
        let running = Process::start(proxy, &self.scratch.join("log")).unwrap();
        port::accepts(self.port, Duration::from_secs(20))
            .unwrap_or_else(|error| panic!("{error}: {}", running.printed()));
        self.platform.run(THROUGH);
    }
}

/// API calls and events pass through; the operator API and health checks don't.
const THROUGH: &str = r#"
through() { curl -sS --fail-with-body --resolve "$RESOLVE" --cacert "$CERTIFICATE" "$PROXY$1" "${@:2}"; }
status_of() { curl -sS -o /dev/null -w '%{http_code}' --resolve "$RESOLVE" --cacert "$CERTIFICATE" "$PROXY$1" "${@:2}"; }
through /api/v1/subscribers -H 'X-PIM-URL: https://pim.example.com' -H 'X-PIM-TOKEN: my-token' -H 'X-PIM-CLIENT-ID: my-app' | grep '"name":"My app"'
postrider emit --type product.created --set data.text="$(head -c 4000 /dev/zero | tr '\0' x)" --count 1000 --print |
  paste -sd, | sed 's/^/[/; s/$/]/' > batch.json
test "$(wc -c < batch.json)" -gt 4000000
through /api/v1/events -H "Authorization: Bearer $KEY" -H 'Content-Type: application/cloudevents-batch+json' \
  --data-binary @batch.json | grep '{"accepted":1000,"duplicates":0}'
curl -sS --fail -o /dev/null "$POSTRIDER_URL/api/v1/admin/statistics" -H 'Authorization: Bearer the-key-of-the-operator-here'
test "$(status_of /api/v1/admin/statistics -H 'Authorization: Bearer the-key-of-the-operator-here')" = 404
test "$(status_of /health/ready)" = 404
test "$(status_of /spec/com.akeneo.pim.v1.product.created.schema.json)" = 200"#;

#[test]
fn nginx_forwards_as_documented() {
    if let Err(error) = NGINX.require().and_then(|()| OPENSSL.require()) {
        return parts::left_out("nginx", &error);
    }
    let front = Front::new("nginx");
    let scratch = front.scratch.display();
    let ours = fs::read_to_string(root().join("docs/operators/nginx.conf")).unwrap();
    let server = ours
        .replace("listen 443", &format!("listen 127.0.0.1:{}", front.port))
        .replace("127.0.0.1:8080", front.platform.address())
        .replace("/etc/ssl/events.example.com.pem", &front.certificate.display().to_string())
        .replace("/etc/ssl/events.example.com.key", &front.key.display().to_string());
    // A complete configuration that only writes to its own folder, as the test's user.
    let user = if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        "user root;"
    } else {
        ""
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {scratch}/{kind};\n"))
        .concat();
    let whole = format!(
        "{user}\ndaemon off;\npid {scratch}/pid;\nerror_log {scratch}/errors;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{server}}}\n"
    );
    let file = front.scratch.join("nginx.conf");
    fs::write(&file, whole).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&file).arg("-e").arg(front.scratch.join("errors"));
    front.check(&nginx);
}

#[test]
fn caddy_forwards_as_documented() {
    if let Err(error) = CADDY.require().and_then(|()| OPENSSL.require()) {
        return parts::left_out("caddy", &error);
    }
    let front = Front::new("caddy");
    let ours = fs::read_to_string(root().join("deploy/compose/Caddyfile")).unwrap();
    // The test's address, and its certificate instead of one from an authority.
    let site = "{$POSTRIDER_DOMAIN:events.example.com} {\n";
    assert!(ours.starts_with(site), "{ours}");
    let certificate = format!("\tbind 127.0.0.1\n\ttls {} {}\n", front.certificate.display(), front.key.display());
    let scratch = front.scratch.display();
    let global = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {scratch}\n}}\n");
    let file = front.scratch.join("Caddyfile");
    fs::write(&file, format!("{global}{}", ours.replace(site, &format!("{site}{certificate}")))).unwrap();
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    caddy.env("HOME", &front.scratch).env("POSTRIDER_DOMAIN", format!("https://events.example.com:{}", front.port));
    caddy.env("POSTRIDER_UPSTREAM", front.platform.address());
    front.check(&caddy);
}
