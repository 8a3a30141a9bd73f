//! A Node process that answers each line with JavaScript's result.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads lines with JSON arrays `[what, text]`. The answer for a number is a second implementation of the exactness
/// rule: JavaScript's form if it has the same decimal value, compared with integers of any size, otherwise the text
/// itself.
const PROGRAM: &str = r#"
const parts = text => {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  return { mantissa: BigInt(sign + whole + fraction), exponent: BigInt(exponent) - BigInt(fraction.length) };
};
const same = (left, right) => {
  const [a, b] = [parts(left), parts(right)];
  if (a.mantissa === 0n || b.mantissa === 0n) return a.mantissa === b.mantissa;
  const least = a.exponent < b.exponent ? a.exponent : b.exponent;
  if (a.exponent - least > 5000n || b.exponent - least > 5000n) return false;
  return a.mantissa * 10n ** (a.exponent - least) === b.mantissa * 10n ** (b.exponent - least);
};
const number = text => {
  const value = JSON.parse(text);
  if (!Number.isFinite(value)) return text;
  const written = JSON.stringify(value);
  return same(text, written) ? written : text;
};
let waiting = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', chunk => {
  const lines = (waiting + chunk).split('\n');
  waiting = lines.pop();
  for (const line of lines) {
    const [what, text] = JSON.parse(line);
    process.stdout.write((what === 'number' ? number(text) : JSON.stringify(JSON.parse(text))) + '\n');
  }
});
"#;

/// The process; killed on drop.
pub(crate) struct Node {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    answer: String,
}

impl Node {
    /// Starts it; `None` without `node`.
    pub(crate) fn start() -> Option<Node> {
        let mut child =
            Command::new("node").args(["-e", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (to, from) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Node { child, to, from, answer: String::new() })
    }

    /// `JSON.stringify(JSON.parse(text))`.
    pub(crate) fn stringified(&mut self, text: &str) -> &str {
        self.ask("text", text)
    }

    /// The form to be delivered for a number.
    pub(crate) fn number(&mut self, text: &str) -> &str {
        self.ask("number", text)
    }

    fn ask(&mut self, what: &str, text: &str) -> &str {
        let mut line = serde_json::to_string(&[what, text]).expect("text");
        line.push('\n');
        self.to.write_all(line.as_bytes()).expect("node listens");
        self.answer.clear();
        self.from.read_line(&mut self.answer).expect("node answers");
        self.answer.strip_suffix('\n').unwrap_or_else(|| panic!("node has no answer to {text}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may already have exited, after unreadable text.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
