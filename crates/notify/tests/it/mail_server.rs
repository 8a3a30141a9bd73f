//! A real SMTP server: PyPI's aiosmtpd in a virtual environment under `target/`, created if missing.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Pinned version of the server, so that newer ones cause no surprises.
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// `CI=true` turns skipped parts into failures.
#[expect(clippy::print_stdout, reason = "whoever runs the tests must see what they did not show")]
fn left_out(why: &str) {
    println!("left out: a real SMTP server ({why})");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "left out: {why}");
}

/// A Python with aiosmtpd, or the reason why there is none.
fn python() -> Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(make_python).clone()
}

fn make_python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/smtp");
    let python = folder.join("bin/python");
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let has_it = || quiet(Command::new(&python).args(["-c", "import aiosmtpd.smtp"])).is_ok_and(|it| it.success());
    if has_it() {
        return Ok(python);
    }
    let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    if !made.is_ok_and(|status| status.success()) {
        return Err("python3 with venv is missing".to_owned());
    }
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1", AIOSMTPD];
    let output = Command::new(&python).args(install).output().map_err(|error| error.to_string())?;
    if has_it() {
        return Ok(python);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    Err(format!("pip could not install {AIOSMTPD}: {said}"))
}

/// An email as received by the server.
#[derive(Clone, Debug)]
pub(crate) struct Email {
    pub(crate) line: String,
}

impl Email {
    /// Whether a member of the JSON has this value, as JSON text.
    pub(crate) fn has(&self, member: &str, value: &str) -> bool {
        self.line.contains(&format!("\"{member}\": {value}"))
    }
}

pub(crate) struct MailServer {
    process: Child,
    pub(crate) port: u16,
    pub(crate) root_pem: Vec<u8>,
    got: Arc<Mutex<Vec<Email>>>,
    _folder: tempfile::TempDir,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().ok();
    }
}

impl MailServer {
    /// Starts a server; `security` is `none`, `starttls` or `tls`, `further` contains more members of its settings.
    /// `None`, with a message, if that is impossible.
    pub(crate) fn start(security: &str, further: &str) -> Option<MailServer> {
        let python = match python() {
            Ok(python) => python,
            Err(why) => {
                left_out(&why);
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let root_pem = certificates(folder.path());
        let place = folder.path().display();
        let settings = format!(
            r#"{{"security":"{security}","certificate":"{place}/server.pem","key":"{place}/server.key"{further}}}"#
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mail_server.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It prints a traceback for every handshake aborted by a client.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the server says its port").unwrap();
        let port = first.trim_matches(|each: char| !each.is_ascii_digit()).parse().unwrap();
        let got: Arc<Mutex<Vec<Email>>> = Arc::default();
        let keep = got.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                keep.lock().unwrap().push(Email { line });
            }
        });
        Some(MailServer { process, port, root_pem, got, _folder: folder })
    }

    pub(crate) fn got(&self) -> Vec<Email> {
        self.got.lock().unwrap().clone()
    }
}

/// Creates a certificate for `localhost` with its key in the folder; returns the root that signed it.
fn certificates(folder: &Path) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), server_key.serialize_pem()).unwrap();
    root.into_bytes()
}
