//! The container image, built and run by buildah.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use parts::tool::{self, Tool};
use parts::{Process, port};
use serde_json::{Value, json};

use crate::release::release;

const BUILDAH: Tool = Tool { program: "buildah", version: "--version", package: "buildah" };

/// Buildah with its storage in the test's own folder.
struct Buildah<'a> {
    folder: &'a Path,
}

impl Buildah<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.folder.join("storage"));
        command.arg("--runroot").arg(self.folder.join("run")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        tool::run(&mut self.command(arguments)).unwrap().trim().to_owned()
    }

    fn build(&self, image: &str, context: &Path) {
        self.run(&["build", "--format", "docker", "--isolation", "chroot", "--tag", image, &context.to_string_lossy()]);
    }
}

/// Builds the shipped image if the binary is static. Otherwise, as in a normal test run, the image is based on one with
/// the binary's libraries.
fn build(buildah: &Buildah<'_>) {
    let context = release().join("container");
    let linked = Command::new("ldd").arg(context.join("postrider")).output().unwrap();
    if !linked.status.success() || String::from_utf8_lossy(&linked.stdout).contains("statically linked") {
        return buildah.build("postrider", &context);
    }
    let libraries = buildah.folder.join("libraries");
    for word in String::from_utf8_lossy(&linked.stdout).split_whitespace().filter(|word| word.starts_with('/')) {
        let below = libraries.join(word.trim_start_matches('/'));
        std::fs::create_dir_all(below.parent().unwrap()).unwrap();
        std::fs::copy(word, below).unwrap();
    }
    std::fs::write(libraries.join("Containerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    buildah.build("libraries", &libraries);
    let ours = buildah.folder.join("context");
    tool::run(Command::new("cp").arg("-a").arg(&context).arg(&ours)).unwrap();
    let recipe = std::fs::read_to_string(context.join("Containerfile")).unwrap();
    assert!(recipe.contains("\nFROM scratch\n"), "{recipe}");
    let recipe = recipe.replace("\nFROM scratch\n", "\nFROM localhost/libraries\n");
    std::fs::write(ours.join("Containerfile"), recipe).unwrap();
    buildah.build("postrider", &ours);
}

#[test]
fn the_image_serves_as_an_unprivileged_user_and_checks_its_own_health() {
    if let Err(error) = BUILDAH.require() {
        return parts::left_out("buildah", &error);
    }
    let folder = tempfile::tempdir().unwrap();
    let buildah = Buildah { folder: folder.path() };
    build(&buildah);
    let inspected: Value = serde_json::from_str(&buildah.run(&["inspect", "--type", "image", "postrider"])).unwrap();
    let config = &inspected["Docker"]["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/postrider"]));
    assert!(config["Volumes"]["/data"].is_object() && config["ExposedPorts"]["8080/tcp"].is_object(), "{config}");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/postrider", "health"]), "{config}");

    let container = buildah.run(&["from", "--pull-never", "postrider"]);
    let port = port::free();
    let run =
        ["run", "--isolation", "chroot", "--env", &format!("POSTRIDER_LISTEN=127.0.0.1:{port}"), &container, "--"];
    // Checked by exit codes, because buildah may lose the last output of a command.
    let inside = |arguments: &[&str]| buildah.command(&[&run, arguments].concat());
    tool::run(&mut inside(&["/postrider", "--version"])).unwrap();
    assert!(tool::run(&mut inside(&["/postrider", "health"])).is_err(), "nothing serves yet");
    // Killing buildah leaves its processes running, except in a process namespace of its own.
    let mut own = Command::new("unshare");
    own.args(["--pid", "--fork", "--kill-child", "--mount-proc", "buildah"]);
    own.args(inside(&["/postrider", "serve"]).get_args());
    let serving = Process::start(&own, &buildah.folder.join("log")).unwrap();
    port::accepts(port, Duration::from_secs(60)).unwrap_or_else(|error| panic!("{error}: {}", serving.printed()));
    tool::run(&mut inside(&["/postrider", "health"])).unwrap();
    tool::run(&mut inside(&["/postrider", "health", "--ready"])).unwrap();
    assert_eq!(owner_of_listener(port), "65532");
    let elsewhere = ["/postrider", "serve", "--listen", "127.0.0.1:0", "--data-dir", "/elsewhere"];
    assert!(tool::run(&mut inside(&elsewhere)).is_err(), "only the volume is writable");
}

/// User id of the process that listens on a port.
fn owner_of_listener(port: u16) -> String {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    // sl, local_address, rem_address, st (0A listens), queues, timer, retransmits, uid
    let row = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut listening = row.filter(|row| row[1].ends_with(&format!(":{port:04X}")) && row[3] == "0A");
    listening.next().unwrap_or_else(|| panic!("nobody listens on {port}:\n{sockets}"))[7].to_owned()
}
