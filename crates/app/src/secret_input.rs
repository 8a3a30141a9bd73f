//! Secrets from a file or standard input instead of the command line, which is visible in process lists.

use std::io::{BufRead, Read};
use std::path::Path;

use domain::credential::without_line_break;

use crate::failure::{Exit, Failure};

/// Stands for standard input, as a file name and as an option value.
const STANDARD_INPUT: &str = "-";

/// Content of a file without the final line break; `-` is standard input.
pub(crate) fn from_file(file: &Path) -> Result<String, String> {
    let read = if file == Path::new(STANDARD_INPUT) {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    match read {
        Ok(text) => Ok(without_line_break(&text).to_owned()),
        Err(error) => Err(format!("cannot read the secret from {}: {error}", file.display())),
    }
}

/// A secret given to an option: the value itself, the next line of standard input for `-`, or the content of `file`.
pub(crate) fn given(typed: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Failure> {
    match (typed, file) {
        // A value on the command line overrides the environment.
        (_, Some(file)) => from_file(file).map(Some).map_err(|problem| Failure::message(Exit::Failed, problem)),
        (Some(STANDARD_INPUT), None) => next_line().map(Some),
        (Some(text), None) => Ok(Some(text.to_owned())),
        (None, None) => Ok(None),
    }
}

/// The same for a repeatable option: a file holds one value per line.
pub(crate) fn given_all(typed: &[String], file: Option<&Path>) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for text in typed {
        all.extend(given(Some(text), None)?);
    }
    if let Some(text) = given(None, file)? {
        all.extend(text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    Ok(all)
}

fn next_line() -> Result<String, Failure> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err(Failure::message(Exit::Failed, "no secret on standard input (`-`)")),
        Ok(_) => Ok(without_line_break(&line).to_owned()),
        Err(error) => Err(Failure::message(Exit::Failed, format!("cannot read standard input: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_a_secret_or_one_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "a secret\r\n").unwrap();
        assert_eq!(given(None, Some(&file)).unwrap().as_deref(), Some("a secret"));
        std::fs::write(&file, "one\n\ntwo\n").unwrap();
        assert_eq!(given_all(&["zero".to_owned()], Some(&file)).unwrap(), ["zero", "one", "two"]);
        assert_eq!(given(None, None).unwrap(), None);
        assert!(
            given(None, Some(&folder.path().join("none"))).unwrap_err().to_string().contains("cannot read the secret")
        );
    }
}
