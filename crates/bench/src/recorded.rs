//! Counts of instructions that a run is compared with: `instructions.txt` of this crate, a name and a count per line.

use std::path::PathBuf;

use anyhow::Context;

/// The counts, in their order in the file.
pub(crate) struct Recorded {
    path: PathBuf,
    counts: Vec<(String, f64)>,
}

impl Recorded {
    /// Reads the file.
    pub(crate) fn read() -> anyhow::Result<Recorded> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Recorded { path, counts: parse(&text)? })
    }

    /// The count of this name.
    pub(crate) fn count(&self, name: &str) -> Option<f64> {
        self.counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }

    /// Replaces or adds a count.
    pub(crate) fn set(&mut self, name: &str, count: f64) {
        match self.counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = count,
            None => self.counts.push((name.to_owned(), count)),
        }
    }

    /// Writes the file.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let lines: String = self.counts.iter().map(|(name, count)| format!("{name}: {count:.0}\n")).collect();
        std::fs::write(&self.path, lines).with_context(|| self.path.display().to_string())
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<(String, f64)>> {
    let count = |line: &str| {
        let (name, count) =
            line.rsplit_once(": ").with_context(|| format!("expected `name: count`, found {line:?}"))?;
        Ok((name.to_owned(), count.parse()?))
    };
    text.lines().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_behind_the_last_colon() {
        assert_eq!(parse("a: b: 12\nc: 3\n").unwrap(), [("a: b".to_owned(), 12.0), ("c".to_owned(), 3.0)]);
        assert!(parse("a 12\n").is_err());
    }
}
