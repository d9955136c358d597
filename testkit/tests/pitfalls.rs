//! Checks that the index of pitfalls and the examples of the steps agree, both ways.

use std::collections::BTreeSet;

use testkit::book::{Example, examples, is_tested, links, pages, read, tests};

/// What the commands `… -p PACKAGE --example NAME …` in a text name.
fn named_examples(text: &str) -> Vec<Example> {
    let word = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c));
        words.next().unwrap().to_owned()
    };
    let mut named = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("--example ") {
            let (_, package) = before.rsplit_once("-p ").unwrap_or_else(|| panic!("no -p: {line}"));
            named.push((word(package), word(after)));
            rest = after;
        }
    }
    named
}

#[test]
fn the_docs_name_examples_that_exist() {
    let examples = examples();
    let mut checked = 0;
    for page in pages() {
        for example in named_examples(&read(&page)) {
            assert!(examples.contains_key(&example), "{page}: there is no example {example:?}");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
}

/// A row of the index of pitfalls: an example, and the place in a step that avoids the mistake.
#[derive(Debug)]
struct Pitfall {
    example: Example,
    file: String,
    item: String,
}

fn pitfalls() -> Vec<Pitfall> {
    let page = read("docs/pitfalls.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("--example "));
    let pitfalls = rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{row}");
        let [example] = &named_examples(cells[1])[..] else { panic!("one command: {row}") };
        let [link] = links(cells[3])[..] else { panic!("one link: {row}") };
        let file = link.strip_prefix("../").unwrap().to_owned();
        let item = cells[3].split('`').nth(1).unwrap_or_else(|| panic!("no function: {row}"));
        Pitfall { example: example.clone(), file, item: item.to_owned() }
    });
    pitfalls.collect()
}

#[test]
fn every_example_is_in_the_index_of_pitfalls_or_among_the_roads() {
    let examples = examples();
    let mut listed = BTreeSet::new();
    for Pitfall { example, .. } in pitfalls() {
        assert!(examples.contains_key(&example), "there is no example {example:?}");
        assert!(is_tested(&example), "`cargo test` does not run {example:?}");
        assert!(listed.insert(example.clone()), "{example:?} is listed twice");
    }
    assert!(listed.len() > 20, "{listed:?}");
    let roads = read("docs/roads.md");
    let linked = |path: &str| links(&roads).contains(&format!("../{path}").as_str());
    for (example, path) in examples.iter().filter(|(example, _)| example.0.starts_with("step")) {
        match (listed.contains(example), linked(path)) {
            (true, true) => panic!("{example:?} is in both"),
            (false, false) => panic!("{example:?} is in neither"),
            _ => {}
        }
    }
}

/// Whether `code` defines `item`: a function or a type, or a function of a type, as in `Type::new`.
fn defines(code: &str, item: &str) -> bool {
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let kinds = ["const", "enum", "fn", "impl", "static", "struct", "trait", "type"];
    let defined = |name| words.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == name);
    item.split("::").all(defined)
}

#[test]
fn items_are_found_where_they_are_defined() {
    let code =
        "impl Hub {\n    pub(crate) async fn run(&mut self) {\n        self.flush();\n    }\n}";
    assert!(defines(code, "run") && defines(code, "Hub::run"));
    assert!(!defines(code, "flush") && !defines(code, "Hub::flush") && !defines(code, "ru"));
}

#[test]
fn every_pitfall_is_short_tested_and_avoided_in_a_step() {
    let examples = examples();
    for Pitfall { example, file, item } in pitfalls() {
        let path = &examples[&example];
        let code = read(path);
        let lines = code.lines().count();
        assert!(lines <= 80, "{path} has {lines} lines");
        assert!(code.starts_with("//! "), "{path} has no module doc");
        for head in ["mistake:", "fix:", "why:"] {
            let (_, main) = code.split_once("fn main()").unwrap_or_else(|| panic!("{path}: main"));
            let (main, _) = main.split_once("\n}\n").unwrap();
            assert!(main.contains(&format!("\"{head}")), "{path} prints no line with {head}");
        }
        assert!(!tests(&code).is_empty(), "{path} has no test");
        let avoided = format!("\n//! Avoided in: `{file}`, `{item}`\n");
        assert!(code.contains(&avoided), "{path} does not say {}", avoided.trim());
        assert!(defines(&read(&file), &item), "{path}: {file} does not define {item}");
    }
}
