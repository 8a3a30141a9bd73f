//! All pages: every block is run or states why not, its output matches the page, and every link is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use domain::destination::DestinationType;

use crate::page::{self, Page, Use};
use crate::session::Session;
use crate::shown;

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Ports on a reader's machine, with their replacements in this run, because pages run concurrently.
struct Ports(BTreeMap<u16, u16>);

impl Ports {
    /// The platform, and the implicit port of `postrider listen`.
    const DEFAULTS: [u16; 2] = [8080, 4000];

    fn of(texts: &[&str]) -> Ports {
        let mut ports: BTreeSet<u16> = Ports::DEFAULTS.into();
        for text in texts {
            for host in ["127.0.0.1:", "localhost:"] {
                let named = text.split(host).skip(1);
                ports.extend(
                    named.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok()),
                );
            }
        }
        Ports(ports.into_iter().map(|port| (port, parts::port::free())).collect())
    }

    fn at(&self, port: u16) -> u16 {
        self.0[&port]
    }

    fn put(&self, text: &str) -> String {
        let mut text = text.replace("postrider listen ", &format!("postrider listen --port {} ", self.at(4000)));
        // In two steps, so that no port is replaced twice.
        for before in ["127.0.0.1:", "localhost:"] {
            for port in self.0.keys() {
                text = text.replace(&format!("{before}{port}"), &format!("{before}<{port}>"));
            }
        }
        for (port, put) in &self.0 {
            text = text.replace(&format!("<{port}>"), &put.to_string());
        }
        text
    }
}

#[test]
fn every_block_is_run_or_says_why_not() {
    let root = root();
    let only = std::env::var("DOCS_PAGE").unwrap_or_default();
    let pages: Vec<_> = page::all(&root).into_iter().filter(|path| path.to_string_lossy().contains(&only)).collect();
    let left = Mutex::new(pages);
    let failures = Mutex::new(Vec::new());
    // Pages mostly wait for processes.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(path) = left.lock().unwrap().pop() else { return };
                    if let Err(why) = run(&root, &path) {
                        failures.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}

/// Runs a page after the pages that it continues.
fn run(root: &Path, path: &Path) -> Result<(), String> {
    let mut pages = vec![Page::read(root, path)];
    while let Some(before) = &pages[0].continues {
        pages.insert(0, Page::read(root, before));
    }
    let ports = Ports::of(&pages.iter().map(|page| page.text.as_str()).collect::<Vec<_>>());
    let platform = format!("127.0.0.1:{}", ports.at(8080));
    let mut session =
        Session::start(&[("POSTRIDER_LISTEN", platform.clone()), ("POSTRIDER_URL", format!("http://{platform}"))]);
    for page in &pages {
        for (block, is) in page.uses()? {
            let done = match is {
                Use::Run(code) => session.run(&ports.put(&block.text), code),
                Use::Shown => session.shows(|shown| shown::has_lines(shown, &ports.put(&block.text))),
                Use::ShownJson => session.shows(|shown| shown::has_json(shown, &ports.put(&block.text))),
                Use::Json => {
                    serde_json::from_str::<serde_json::Value>(&block.text).map(|_| ()).map_err(|e| e.to_string())
                }
                Use::Configuration => is_configuration(&block.text),
                Use::File(_) | Use::Nothing(_) => Ok(()),
            };
            done.map_err(|why| format!("{}:{}: {why}", page.path.display(), block.line))?;
        }
    }
    Ok(())
}

fn is_configuration(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.toml");
    std::fs::write(&file, text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_postrider")).arg("config").arg("--config").arg(&file).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// `cargo xtask docs` copies the files into the pages.
#[test]
fn reference_page_blocks_equal_their_files() {
    let root = root();
    let mut problems = Vec::new();
    for path in page::all(&root) {
        let page = Page::read(&root, &path);
        let mut text = page.text.clone();
        for (block, is) in page.uses().unwrap() {
            let Use::File(file) = is else { continue };
            match std::fs::read_to_string(root.join(file)) {
                Err(error) => problems.push(format!("{}:{}: {file}: {error}", path.display(), block.line)),
                Ok(there) if there == block.text => {}
                Ok(there) if std::env::var_os("UPDATE_EXPECT").is_some() => {
                    let fence = format!("```{}\n", block.language);
                    text = text.replace(
                        &format!("<!-- file: {file} -->\n{fence}{}```\n", block.text),
                        &format!("<!-- file: {file} -->\n{fence}{there}```\n"),
                    );
                }
                Ok(_) => problems.push(format!(
                    "{}:{}: this is not what {file} holds; `cargo xtask docs` writes it anew",
                    path.display(),
                    block.line
                )),
            }
        }
        if text != page.text {
            std::fs::write(root.join(&path), text).unwrap();
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_linked() {
    let root = root();
    let pages = page::all(&root);
    let mut problems = Vec::new();
    let mut linked: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::from("README.md")]);
    for path in &pages {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        for target in
            links(&text).into_iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { plain(&path.parent().unwrap().join(file)) };
            let Ok(there) = std::fs::read(root.join(&file)) else {
                problems.push(format!("{}: {target} is not there", path.display()));
                continue;
            };
            // A picture has no headings.
            if !anchor.is_empty() && !anchors(&String::from_utf8_lossy(&there)).contains(anchor) {
                problems.push(format!("{}: {} has no heading #{anchor}", path.display(), file.display()));
            }
            linked.insert(file);
        }
    }
    problems.extend(
        pages.iter().filter(|path| !linked.contains(*path)).map(|path| format!("nothing leads to {}", path.display())),
    );
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if !in_block {
            found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        }
    }
    found
}

fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => _ = plain.pop(),
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Anchors of a page's headings, derived from their texts.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
        })
        .collect()
}

#[test]
fn every_type_of_destination_has_its_section_in_the_guide() {
    for of_type in DestinationType::ALL {
        let (page, anchor) = of_type.descriptor().guide.split_once('#').unwrap();
        let text = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
        assert!(anchors(&text).contains(anchor), "{page} has no heading #{anchor}");
        assert!(text.contains(&format!("\"type\": \"{}\"", of_type.name())), "{page} shows no {}", of_type.name());
    }
}

#[test]
fn ports_are_put_once() {
    let ports = Ports(BTreeMap::from([(8080, 4000), (4000, 8080)]));
    let put = ports.put("curl http://127.0.0.1:8080 http://localhost:4000; postrider listen --secret x");
    assert_eq!(put, "curl http://127.0.0.1:4000 http://localhost:8080; postrider listen --port 8080 --secret x");
}

#[test]
fn links_and_headings_are_read_as_they_are_shown() {
    assert_eq!(links("a [b](c.md) [d](#e)\n```sh\n[x](y)\n```\n"), ["c.md", "#e"]);
    assert!(anchors("## Why did it `not` arrive?\n").contains("why-did-it-not-arrive"));
    assert_eq!(plain(Path::new("docs/a/../b/./c.md")), Path::new("docs/b/c.md"));
}
