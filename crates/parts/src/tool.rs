//! Programs that build or run parts: a JDK, Maven, Go, Python, Node.js, PHP, a browser. Installed if permitted,
//! otherwise reported as missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A program and its Debian package.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Command.
    pub program: &'static str,
    /// Argument that shows that it works.
    pub version: &'static str,
    /// Debian package.
    pub package: &'static str,
}

/// Java, which runs Kafka and ElasticMQ.
pub const JAVA: Tool = Tool { program: "java", version: "-version", package: "default-jdk-headless" };
/// Maven, which downloads their jars.
pub const MAVEN: Tool = Tool { program: "mvn", version: "--version", package: "maven" };
/// Go, which builds the Pub/Sub emulator.
pub const GO: Tool = Tool { program: "go", version: "version", package: "golang-go" };
/// Python, for third-party clients. Debian has a separate package for virtual environments.
pub const PYTHON: Tool = Tool { program: "python3", version: "-cimport ensurepip", package: "python3-venv" };
/// Node.js, likewise.
pub const NODE: Tool = Tool { program: "node", version: "--version", package: "nodejs" };
/// PHP, likewise.
pub const PHP: Tool = Tool { program: "php", version: "--version", package: "php-cli" };
/// The HTTP library of clients in PHP.
pub const GUZZLE: Tool =
    Tool { program: "php", version: "-rrequire 'GuzzleHttp/autoload.php';", package: "php-guzzlehttp-guzzle" };
/// PHP's extension for text, which they also use.
pub const MBSTRING: Tool = Tool { program: "php", version: "-rmb_strlen('');", package: "php-mbstring" };
/// PHP's extension for HTTP, likewise.
pub const CURL: Tool = Tool { program: "php", version: "-rcurl_version();", package: "php-curl" };
/// PHP's package manager.
pub const COMPOSER: Tool = Tool { program: "composer", version: "--version", package: "composer" };
/// npm.
pub const NPM: Tool = Tool { program: "npm", version: "--version", package: "npm" };
/// The proxy before the platform.
pub const NGINX: Tool = Tool { program: "nginx", version: "-v", package: "nginx-light" };
/// OpenSSL's command line.
pub const OPENSSL: Tool = Tool { program: "openssl", version: "version", package: "openssl" };

/// The browser that shows the console.
pub const CHROMIUM: Tool = Tool { program: "chromium", version: "--version", package: "chromium" };

impl Tool {
    /// Makes sure that the program exists: root on Debian installs it, others get instructions.
    pub fn require(self) -> anyhow::Result<()> {
        if self.works() {
            return Ok(());
        }
        let may_install = rustix::process::geteuid().is_root() && PathBuf::from("/etc/debian_version").exists();
        if may_install {
            let lock = std::fs::File::create(std::env::temp_dir().join("postrider-apt.lock"))?;
            lock.lock()?;
            if !self.works() {
                run(Command::new("apt-get").args(["-q", "update"]))?;
                run(Command::new("apt-get")
                    .args(["-q", "-y", "install", self.package])
                    .env("DEBIAN_FRONTEND", "noninteractive"))?;
            }
        }
        if self.works() {
            return Ok(());
        }
        bail!("{} is missing; on Debian, install it with: apt-get install {}", self.program, self.package)
    }

    fn works(self) -> bool {
        let status = Command::new(self.program).arg(self.version).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

/// Runs a command quietly; if it fails, the error contains its output.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let tail = |text: &str| {
            text.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{name} ended with {}:\n{}\n{}", output.status, tail(&printed), tail(&errors));
    }
    Ok(printed)
}
