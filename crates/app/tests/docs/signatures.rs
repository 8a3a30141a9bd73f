//! The receivers of `examples/signatures`, one per language, accept the platform's deliveries and reject everything
//! else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Clock;
use parts::{Process, place, port, tool};

use crate::pages::root;
use crate::platform::{Delivery, Platform};

#[expect(clippy::disallowed_methods, reason = "an example that stands by itself")]
#[path = "../../../../examples/signatures/receiver.rs"]
#[expect(unreachable_pub, reason = "it is written for a program of its own")]
mod receiver_in_rust;

/// Secret of the known signature.
const SECRET: &str = "your_primary_secret";
/// The known signature (contract page 2).
const KNOWN: (&str, &str) = (r#"{"a":1}"#, "e07da89f9169bfea31192fda579e9ad8b7d5fec7ea771dae231e23f3bf01d24a");
/// Five minutes, as in the Standard Webhooks libraries.
const TOLERANCE: u64 = 300;

const GENUINE: u16 = 204;
const NOT_GENUINE: u16 = 401;

/// Deliveries signed with the secret; with another one and, as secondary, the secret; with the other one alone.
static DELIVERIES: LazyLock<[Delivery; 3]> = LazyLock::new(|| {
    let mut platform = Platform::start(&[]);
    platform.run(&format!(
        r#"ID=$(api "$SUBSCRIPTIONS" -d '{{"type": "https", "events": ["com.akeneo.pim.v1.product.created"],
                "config": {{"url": "'$RECEIVER'", "secret": {{"primary": "{SECRET}"}}}}}}' | id_of)"#
    ));
    // A receiver of an updated subscription would see the new secret.
    for (count, secrets) in
        [r#"{}"#, r#"{"primary": "the_next", "secondary": "your_primary_secret"}"#, r#"{"secondary": ""}"#]
            .into_iter()
            .enumerate()
    {
        platform.run(&format!(
            r#"api "$SUBSCRIPTIONS/$ID" -X PATCH -d '{{"config": {{"secret": {secrets}}}}}'
               postrider emit --key "$KEY" --type product.created --set 'data.product.name=Müller “M” 7'"#
        ));
        platform.deliveries(count + 1);
    }
    platform.deliveries(3).try_into().unwrap()
});

/// A running receiver.
struct Receiver {
    port: u16,
    /// Ends with it.
    _process: Option<Process>,
}

impl Receiver {
    /// Posts a request; returns the status.
    #[track_caller]
    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        self.try_post(headers, body).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    fn try_post(&self, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut request =
            format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{request}\r\n").as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| std::io::Error::other(format!("no status in {answer:?}")))
    }

    #[track_caller]
    fn check(&self, what: &str, headers: &[(&str, &str)], body: &str, expect: u16) {
        assert_eq!(self.post(headers, body.as_bytes()), expect, "{what}");
    }
}

/// Signature headers of a delivery, except `left_out`.
fn headers_of<'a>(delivery: &'a Delivery, left_out: &str) -> Vec<(&'a str, &'a str)> {
    let all = delivery.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| (name.starts_with("x-akeneo") || name.starts_with("webhook")) && *name != left_out).collect()
}

/// Requirements for every receiver; `start` starts one with a tolerance.
fn judge(start: impl Fn(u64) -> anyhow::Result<Receiver>) -> anyhow::Result<()> {
    let [ours, rotated, other] = &*DELIVERIES;
    let receiver = start(0)?;
    receiver.check("a delivery", &headers_of(ours, ""), &ours.body, GENUINE);
    receiver.check("signed with the secondary secret", &headers_of(rotated, ""), &rotated.body, GENUINE);
    receiver.check("signed with another secret", &headers_of(other, ""), &other.body, NOT_GENUINE);
    receiver.check("the known answer", &[("X-AKENEO-SIGNATURE-PRIMARY", KNOWN.1)], KNOWN.0, GENUINE);
    receiver.check("the same as secondary", &[("X-AKENEO-SIGNATURE-SECONDARY", KNOWN.1)], KNOWN.0, GENUINE);
    receiver.check("another body", &headers_of(ours, ""), &ours.body.replace("product", "Product"), NOT_GENUINE);
    receiver.check("a body that goes on", &headers_of(ours, ""), &format!("{} ", ours.body), NOT_GENUINE);
    receiver.check("no signature", &headers_of(ours, "x-akeneo-signature-primary"), &ours.body, NOT_GENUINE);
    for nonsense in ["", "zz", "e07d", &KNOWN.1[1..], &format!("{}00", KNOWN.1), "\u{e9}"] {
        receiver.check(nonsense, &[("X-AKENEO-SIGNATURE-PRIMARY", nonsense)], KNOWN.0, NOT_GENUINE);
    }
    let huge = vec![b' '; 3 << 20];
    // It may close the connection before the body is sent.
    let answered = receiver.try_post(&[("X-AKENEO-SIGNATURE-PRIMARY", KNOWN.1)], &huge);
    assert_ne!(answered.unwrap_or(413), GENUINE, "a body that is too large");
    receiver.check("after a body that was too large", &headers_of(ours, ""), &ours.body, GENUINE);

    let receiver = start(TOLERANCE)?;
    receiver.check("a delivery, fresh", &headers_of(ours, ""), &ours.body, GENUINE);
    receiver.check("the secondary secret, fresh", &headers_of(rotated, ""), &rotated.body, GENUINE);
    receiver.check("without Standard Webhooks", &headers_of(ours, "webhook-signature"), &ours.body, NOT_GENUINE);
    receiver.check("without a timestamp", &headers_of(ours, "webhook-timestamp"), &ours.body, NOT_GENUINE);
    let now = u64::try_from(Clock::system().wall().as_micros() / 1_000_000).unwrap();
    let check = |what: &str, timestamp: &str, id: &str, expect: u16| {
        let signature = standard(id, timestamp, KNOWN.0);
        let headers = [
            ("X-AKENEO-SIGNATURE-PRIMARY", KNOWN.1),
            ("webhook-id", "the-id"),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", &signature),
        ];
        receiver.check(what, &headers, KNOWN.0, expect);
    };
    check("of now", &now.to_string(), "the-id", GENUINE);
    check("four minutes old", &(now - TOLERANCE + 60).to_string(), "the-id", GENUINE);
    check("a replay", &(now - TOLERANCE - 5).to_string(), "the-id", NOT_GENUINE);
    check("of the future", &(now + TOLERANCE + 60).to_string(), "the-id", NOT_GENUINE);
    check("signed for another id", &now.to_string(), "another-id", NOT_GENUINE);
    check("with a timestamp that is no number", "now", "the-id", NOT_GENUINE);
    check("with a timestamp that is negative", "-1", "the-id", NOT_GENUINE);
    Ok(())
}

/// Anyone can sign with an empty key: a receiver without a secret exits, or rejects everything.
fn takes_nothing(mut process: Process, port: u16) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    while process.ended().is_none() {
        if port::accepts(port, Duration::from_millis(20)).is_ok() {
            let receiver = Receiver { port, _process: Some(process) };
            let answer = receiver.post(&[("X-AKENEO-SIGNATURE-PRIMARY", &unsigned(KNOWN.0))], KNOWN.0.as_bytes());
            anyhow::ensure!(answer >= 400, "a signature by an empty key is answered with {answer}");
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < until, "it neither ends nor listens: {}", process.printed());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Signature with an empty key.
fn unsigned(body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), body.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn standard(id: &str, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    // Signatures of other versions may be present.
    format!("v0,AAAA v1,{}", STANDARD.encode(tag))
}

/// Starts a program as a receiver, if its language is installed.
fn judge_program(language: &str, tool: tool::Tool, program: impl Fn(&Path, u16) -> anyhow::Result<Command>) {
    let start = |secret: &str, tolerance: u64| -> anyhow::Result<(Process, u16)> {
        let (scratch, port) = (place::scratch("receiver")?, port::free());
        let mut command = program(&scratch, port)?;
        command.current_dir(root().join("examples/signatures"));
        command.envs([("SECRET", secret), ("PORT", &port.to_string()), ("TOLERANCE", &tolerance.to_string())]);
        Ok((Process::start(&command, &scratch.join("log"))?, port))
    };
    let done = tool.require().and_then(|()| {
        judge(|tolerance| {
            let (process, port) = start(SECRET, tolerance)?;
            port::accepts(port, Duration::from_secs(60)).map_err(|error| error.context(process.printed()))?;
            Ok(Receiver { port, _process: Some(process) })
        })?;
        let (process, port) = start("", 0)?;
        takes_nothing(process, port)
    });
    if let Err(error) = done {
        parts::left_out(&format!("the receiver in {language}"), &error);
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

#[test]
fn the_receiver_in_javascript() {
    judge_program("JavaScript", tool::NODE, |_, _| Ok(command("node", &["receiver.mjs"])));
}

#[test]
fn the_receiver_in_python() {
    judge_program("Python", tool::PYTHON, |_, _| Ok(command("python3", &["receiver.py"])));
}

#[test]
fn the_receiver_in_php() {
    judge_program("PHP", tool::PHP, |_, port| {
        Ok(command("php", &["-S", &format!("127.0.0.1:{port}"), "receiver.php"]))
    });
}

#[test]
fn the_receiver_in_go() {
    judge_program("Go", tool::GO, |scratch, _| {
        // What `go run` does, which would leave a child behind.
        let binary = scratch.join("receiver");
        let source = root().join("examples/signatures/receiver.go");
        tool::run(Command::new("go").args(["build", "-o"]).arg(&binary).arg(source))?;
        Ok(Command::new(binary))
    });
}

#[test]
fn the_receiver_in_java() {
    judge_program("Java", tool::JAVA, |_, _| Ok(command("java", &["Receiver.java"])));
}

#[test]
fn the_receiver_in_rust() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    judge(|tolerance| {
        let verifier = receiver_in_rust::Verifier { secret: SECRET.to_owned(), tolerance };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move { axum::serve(listener, receiver_in_rust::router(verifier)).await });
        Ok(Receiver { port, _process: None })
    })
    .unwrap();
    let no_secret = receiver_in_rust::Verifier { secret: String::new(), tolerance: 0 };
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let receiver = Receiver { port: listener.local_addr().unwrap().port(), _process: None };
    runtime.spawn(async move { axum::serve(listener, receiver_in_rust::router(no_secret)).await });
    receiver.check("an empty key", &[("X-AKENEO-SIGNATURE-PRIMARY", &unsigned(KNOWN.0))], KNOWN.0, NOT_GENUINE);
}
