//! The docs as data: their pages and their fences, and the tests and examples that they may name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::roads;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of a file of the workspace. Panics if there is no such file.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all pages, from the root: the Markdown files there and in `docs`.
pub fn pages() -> Vec<String> {
    let listed = ["", "docs/"].into_iter().flat_map(|folder| {
        files(&root().join(folder)).into_iter().filter_map(move |path| {
            let name = path.file_name()?.to_str()?;
            name.ends_with(".md").then(|| format!("{folder}{name}"))
        })
    });
    listed.collect()
}

/// The entries of a folder, sorted; none if it does not exist.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq)]
pub struct Fence<'a> {
    /// The number of its first line of content, from 1.
    pub line: usize,
    /// What follows the opening backticks, such as `rust`.
    pub language: &'a str,
    /// The text of a comment on the line above.
    pub comment: Option<&'a str>,
    /// The content, without the margin of the fence itself.
    pub lines: Vec<&'a str>,
}

/// All fences of a page, or of a part of it.
pub fn fences(text: &str) -> Vec<Fence<'_>> {
    let mut fences = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut above = "";
    while let Some((at, line)) = lines.next() {
        let opening = line.trim_start();
        if let Some(language) = opening.strip_prefix("```") {
            let margin = line.len() - opening.len();
            let content = lines.by_ref().map(|(_, line)| line);
            let content = content.take_while(|line| line.trim() != "```");
            let comment = above.trim().strip_prefix("<!-- ");
            fences.push(Fence {
                line: at + 2,
                language: language.trim(),
                comment: comment.and_then(|comment| comment.strip_suffix(" -->")),
                lines: content.map(|line| line.get(margin..).unwrap_or_default()).collect(),
            });
        }
        above = line;
    }
    fences
}

/// The targets of all links outside code blocks.
pub fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let after = prose.flat_map(|prose| prose.split("](").skip(1));
    after.filter_map(|rest| rest.split(')').next()).collect()
}

/// All promised behaviours, with the steps that promise them.
pub fn promised() -> BTreeMap<String, BTreeSet<char>> {
    let mut promised = BTreeMap::<String, BTreeSet<char>>::new();
    for folder in files(&root()) {
        let Ok(list) = fs::read_to_string(folder.join("tests/behaviour.rs")) else { continue };
        let name = folder.file_name().and_then(|name| name.to_str());
        let step = name.and_then(|name| name.strip_prefix("step")?.chars().next());
        let step = step.expect("a step");
        for behaviour in roads::promised(&list) {
            promised.entry(behaviour.to_owned()).or_default().insert(step);
        }
    }
    promised
}

/// The functions in `code` that `cargo test` runs: tests that are not ignored.
pub fn tests(code: &str) -> Vec<&str> {
    let mut attributes = Vec::new();
    let mut tests = Vec::new();
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[") || line.starts_with("//") {
            attributes.push(line);
            continue;
        }
        let marked = |mark: &str| attributes.iter().any(|line| line.starts_with(mark));
        let is_test = marked("#[test]") || marked("#[tokio::test");
        let signature = line.trim_start_matches("async ").strip_prefix("fn ");
        if let Some(signature) = signature
            && is_test
            && !marked("#[ignore")
        {
            tests.extend(signature.split('(').next());
        }
        attributes.clear();
    }
    tests
}

/// The names of all tests that run in the workspace, promised behaviours included.
pub fn all_tests() -> BTreeSet<String> {
    let mut names: BTreeSet<_> = promised().into_keys().collect();
    for package in files(&root()).iter().filter(|path| path.join("Cargo.toml").exists()) {
        names.extend(package_tests(&package.file_name().expect("a name").display().to_string()));
    }
    names
}

/// The names of the tests that run in a package, without the behaviours that it promises.
pub fn package_tests(package: &str) -> BTreeSet<String> {
    let folder = root().join(package);
    let mut code: Vec<_> =
        ["src", "tests"].iter().flat_map(|name| rust_files(&folder.join(name))).collect();
    let examples = folder.join("examples");
    code.extend(
        rust_files(&examples)
            .into_iter()
            .filter(|path| is_tested(&(package.to_owned(), example(path, &examples)))),
    );
    let mut names = BTreeSet::new();
    for file in code {
        let code = fs::read_to_string(file).expect("a file");
        names.extend(tests(&code).into_iter().map(str::to_owned));
    }
    names
}

/// An example: its package and its name.
pub type Example = (String, String);

/// All examples of the workspace, with the path of their code from the root.
pub fn examples() -> BTreeMap<Example, String> {
    let mut examples = BTreeMap::new();
    for folder in files(&root()) {
        let package = folder.file_name().expect("a name").display().to_string();
        for path in files(&folder.join("examples")) {
            let code = if path.is_dir() { path.join("main.rs") } else { path.clone() };
            // A folder without a `main.rs` holds modules that examples share.
            if code.exists() {
                let name = example(&path, &folder.join("examples"));
                let code = code.strip_prefix(root()).expect("a file of the workspace");
                examples.insert((package.clone(), name), code.display().to_string());
            }
        }
    }
    examples
}

/// Whether `cargo test` runs the tests of an example.
pub fn is_tested((package, name): &Example) -> bool {
    let manifest = read(&format!("{package}/Cargo.toml"));
    manifest.split("[[example]]\n").skip(1).any(|target| {
        let target = target.split("\n[").next().unwrap_or_default();
        let has = |line: &str| target.lines().any(|other| other == line);
        has(&format!("name = \"{name}\"")) && has("test = true")
    })
}

/// The name of the example that a file in `folder` belongs to.
fn example(path: &Path, folder: &Path) -> String {
    let inside = path.strip_prefix(folder).expect("a file in the folder");
    let first = inside.iter().next().expect("a name");
    Path::new(first).with_extension("").display().to_string()
}

/// All Rust files below `folder`.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files(folder) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_fence_has_a_line_a_comment_and_a_margin() {
        let page = "a\n<!-- x.rs -->\n```rust\n  b\n```\n\n- c\n  ```sh\n  d\n    e\n\n  ```\n";
        let rust = Fence { line: 4, language: "rust", comment: Some("x.rs"), lines: vec!["  b"] };
        let sh = Fence { line: 9, language: "sh", comment: None, lines: vec!["d", "  e", ""] };
        assert_eq!(fences(page), [rust, sh]);
    }

    #[test]
    fn ignored_tests_do_not_count() {
        let code = "
            #[test]
            /// With a comment.
            fn one() {}
            fn two() {}
            #[tokio::test(start_paused = true)]
            async fn three() {}
            #[test]
            #[ignore]
            fn four() {}";
        assert_eq!(tests(code), ["one", "three"]);
    }

    #[test]
    fn tests_of_all_kinds_are_found() {
        let all = all_tests();
        // A unit test, an integration test, a property, and a behaviour.
        for name in [
            "only_host_and_port_are_accepted",
            "a_peer_that_panics_is_an_error",
            "chunks_do_not_matter",
            "exit_leaves",
        ] {
            assert!(all.contains(name), "{name} was not found");
        }
    }
}
