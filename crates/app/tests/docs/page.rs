//! A page of the documentation: its blocks, and the comments before them.
//!
//! A `sh` block is run unless a comment directly before it gives a reason:
//!
//! ```text
//! <!-- not run: needs root -->       why a block is not run
//! <!-- ends with 3 -->               the expected exit code
//! <!-- not checked: … -->            why the output shown below a block is not compared
//! <!-- file: examples/x.py -->       the file copied by a block in a programming language
//! <!-- continues: other.md -->       at the top: the page whose blocks are run first
//! ```

use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    /// Line of the opening fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Content without the indentation of a surrounding list.
    pub(crate) text: String,
    /// The comment directly before it.
    pub(crate) comment: Option<String>,
    /// Whether only blank lines separate it from the previous block.
    pub(crate) follows: bool,
}

/// Purpose of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Use<'a> {
    /// Run it and expect this exit code.
    Run(i32),
    /// Output of the previous block, or a part of it.
    Shown,
    /// The same as JSON.
    ShownJson,
    /// A valid configuration.
    Configuration,
    /// Valid JSON.
    Json,
    /// A copy of this file of the repository.
    File(&'a str),
    /// None, with the reason.
    Nothing(&'a str),
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Relative to the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
    /// The page whose blocks are run first.
    pub(crate) continues: Option<PathBuf>,
}

impl Page {
    /// Reads a page; `path` is relative to the root of the repository.
    pub(crate) fn read(root: &Path, path: &Path) -> Page {
        Page::parse(path, std::fs::read_to_string(root.join(path)).unwrap())
    }

    pub(crate) fn parse(path: &Path, text: String) -> Page {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        let (mut comment, mut follows) = (None, false);
        let mut continues = None;
        for (index, line) in text.lines().enumerate() {
            let unindented = line.trim_start();
            match &mut open {
                Some((_, block)) if unindented == "```" => {
                    blocks.push(block.clone());
                    (open, comment, follows) = (None, None, true);
                }
                Some((indent, block)) => {
                    let blank = line.len() - unindented.len();
                    block.text.push_str(&line[blank.min(*indent)..]);
                    block.text.push('\n');
                }
                None => match unindented.strip_prefix("```") {
                    Some(language) => {
                        let block = Block {
                            line: index + 1,
                            language: language.trim().to_owned(),
                            text: String::new(),
                            comment: comment.take(),
                            follows,
                        };
                        open = Some((line.len() - unindented.len(), block));
                    }
                    None => {
                        let said = unindented.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                        match said.map(str::trim) {
                            Some(said) => {
                                if let Some(other) = said.strip_prefix("continues: ") {
                                    continues = Some(path.parent().unwrap().join(other));
                                }
                                comment = Some(said.to_owned());
                            }
                            None if unindented.is_empty() => {}
                            None => (comment, follows) = (None, false),
                        }
                    }
                },
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
        Page { path: path.to_owned(), text, blocks, continues }
    }

    /// Purpose of each block, or the error.
    pub(crate) fn uses(&self) -> Result<Vec<(&Block, Use<'_>)>, String> {
        let mut uses: Vec<(&Block, Use<'_>)> = Vec::new();
        for block in &self.blocks {
            let place = format!("{}:{}", self.path.display(), block.line);
            let after_run = block.follows && matches!(uses.last(), Some((_, Use::Run(_))));
            let is = self.use_of(block, after_run).map_err(|problem| format!("{place}: {problem}"))?;
            uses.push((block, is));
        }
        Ok(uses)
    }

    fn use_of<'a>(&self, block: &'a Block, after_run: bool) -> Result<Use<'a>, String> {
        let comment = block.comment.as_deref().unwrap_or_default();
        let why = comment.strip_prefix("not run:").or_else(|| comment.strip_prefix("not checked:"));
        match why.map(str::trim) {
            Some("") => return Err("the comment before the block gives no reason".to_owned()),
            Some(why) => return Ok(Use::Nothing(why)),
            None => {}
        }
        match block.language.as_str() {
            "sh" => match comment.strip_prefix("ends with ") {
                Some(code) => code.parse().map(Use::Run).map_err(|_| format!("{code:?} is no exit code")),
                None => Ok(Use::Run(0)),
            },
            "text" if after_run => Ok(Use::Shown),
            "text" => Ok(Use::Nothing("text")),
            "json" if after_run => Ok(Use::ShownJson),
            "json" => Ok(Use::Json),
            "toml" => Ok(Use::Configuration),
            "" => Err("the block does not say what it is; write ```sh or ```text".to_owned()),
            language => match comment.strip_prefix("file: ") {
                Some(file) => Ok(Use::File(file)),
                None => Err(format!(
                    "a block of {language} is neither `<!-- file: … -->` nor `<!-- not run: … -->`; say one of them \
                     directly before it"
                )),
            },
        }
    }
}

/// README.md and everything under `docs/`, relative to the root of the repository.
pub(crate) fn all(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "md") => pages.push(path),
                false => {}
            }
        }
    }
    pages.sort();
    pages
}

#[track_caller]
fn check(text: &str, expect: Result<&[Use<'_>], &str>) {
    let page = Page::parse(Path::new("docs/page.md"), text.to_owned());
    match (page.uses(), expect) {
        (Ok(uses), Ok(expect)) => {
            let uses: Vec<_> = uses.into_iter().map(|(_, is)| is).collect();
            assert_eq!(uses, expect);
        }
        (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
        (uses, expect) => panic!("{uses:?}, expected {expect:?}"),
    }
}

#[test]
fn a_block_is_run_or_says_why_not() {
    check("```sh\nls\n```\n", Ok(&[Use::Run(0)]));
    check("<!-- not run: needs root -->\n```sh\nls\n```\n", Ok(&[Use::Nothing("needs root")]));
    check("<!-- not run: needs root -->\n\n```sh\nls\n```\n", Ok(&[Use::Nothing("needs root")]));
    check("<!-- not run: needs root -->\nBut this one is run:\n```sh\nls\n```\n", Ok(&[Use::Run(0)]));
    check("<!-- not run: -->\n```sh\nls\n```\n", Err("page.md:2: the comment before the block gives no reason"));
    check("```\nls\n```\n", Err("page.md:1: the block does not say what it is"));
    check("```python\n1\n```\n", Err("page.md:1: a block of python is neither"));
    check("<!-- file: a.py -->\n```python\n1\n```\n", Ok(&[Use::File("a.py")]));
    check("<!-- ends with 3 -->\n```sh\nfalse\n```\n", Ok(&[Use::Run(3)]));
    check("```json\n{}\n```\n\n```toml\n```\n", Ok(&[Use::Json, Use::Configuration]));
}

#[test]
fn the_text_block_below_is_the_expected_output() {
    check("```sh\nls\n```\n\n```text\na\n```\n", Ok(&[Use::Run(0), Use::Shown]));
    check("```sh\nls\n```\n\nAnother thing:\n\n```text\na\n```\n", Ok(&[Use::Run(0), Use::Nothing("text")]));
    check(
        "```sh\nls\n```\n\n<!-- not checked: the wind -->\n```text\na\n```\n",
        Ok(&[Use::Run(0), Use::Nothing("the wind")]),
    );
    check("```sh\nls\n```\n\n```json\n{}\n```\n", Ok(&[Use::Run(0), Use::ShownJson]));
}

#[test]
fn blocks_in_lists_lose_their_indent() {
    let page = Page::parse(Path::new("a.md"), "1. Do:\n\n   ```sh\n   if x; then\n     y\n   ```\n".to_owned());
    assert_eq!(page.blocks[0].text, "if x; then\n  y\n");
}
