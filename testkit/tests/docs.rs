//! Checks that the docs agree with the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use testkit::book::{links, package_tests, pages, promised, read, root};
use testkit::twins;

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_resolve() {
    let mut checked = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            assert!(!link.starts_with("http"), "{page}: {link} is outside");
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => root().join(&page),
                path => root().join(&page).with_file_name(path),
            };
            assert!(target.exists(), "{page}: {link} does not exist");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(anchor), "{page}: {link} has no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}

#[test]
fn the_glossary_defines_each_term_in_two_sentences_and_shows_it() {
    let page = read("docs/glossary.md");
    let mut terms = Vec::new();
    for entry in page.split("\n### ").skip(1) {
        let (term, text) = entry.split_once('\n').unwrap();
        let sentences = text.split_whitespace().filter(|word| word.ends_with('.')).count();
        assert_eq!(sentences, 2, "sentences about {term}");
        let shown = links(text).iter().any(|link| link.starts_with("../") && link.ends_with(".rs"));
        assert!(shown, "{term} has no link to the code");
        terms.push(anchor(term));
    }
    assert!(terms.is_sorted(), "{terms:?}");
    assert!((40..=60).contains(&terms.len()), "{} terms", terms.len());
}

/// The heading in `docs/faults.md` above what only step 6 survives.
const NODES: &str = "\n## Faults between nodes\n";

/// The last cell of a row of a table.
fn last_cell(row: &str) -> &str {
    row.trim_end_matches('|').rsplit('|').next().unwrap()
}

#[test]
fn the_fault_table_lists_what_the_steps_promise() {
    let mut listed = BTreeMap::<String, BTreeSet<char>>::new();
    let page = read("docs/faults.md");
    let (table, _) = page.split_once(NODES).unwrap();
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains("` ")) {
        let cell = last_cell(row);
        for behaviour in cell.split("<br>").filter(|entry| entry.contains('`')) {
            let (_, entry) = behaviour.split_once('`').unwrap();
            let (name, steps) = entry.split_once('`').unwrap();
            let steps = steps.chars().filter(char::is_ascii_digit).collect();
            listed.insert(name.to_owned(), steps);
        }
    }
    assert_eq!(listed, promised());
}

/// A promise that a program breaks: the program, the promise, the reason.
type Broken = BTreeSet<(String, String, String)>;

/// What the lists `breaks` of all `tests/roads.rs` say.
fn listed_as_broken() -> Broken {
    let mut broken = Broken::new();
    for entry in fs::read_dir(root()).unwrap() {
        let Ok(lists) = fs::read_to_string(entry.unwrap().path().join("tests/roads.rs")) else {
            continue;
        };
        for list in lists.split("\nroads! {\n").skip(1) {
            let (program, list) = list.trim_start().split_once(':').unwrap();
            let (_, list) = list.split_once("breaks: [").unwrap();
            let (list, _) = list.split_once("unstable: [").unwrap();
            // Alternately a name and a reason.
            let pieces: Vec<_> = list.split('"').collect();
            for pair in pieces.chunks_exact(2) {
                let name = pair[0].trim_end().trim_end_matches(':').split_whitespace().last();
                broken.insert((program.into(), name.unwrap().into(), pair[1].into()));
            }
        }
    }
    broken
}

#[test]
fn the_page_about_roads_says_what_they_break() {
    let page = read("docs/roads.md");
    let mut shown = Broken::new();
    for section in page.split("\n## ").skip(1) {
        // The program is the name in the heading: `mutex`.
        let Some(program) = section.lines().next().unwrap().split('`').nth(1) else { continue };
        let rows = section.lines().filter(|line| line.starts_with("| ") && line.contains("| `"));
        for row in rows {
            let (why, names) = row[2..].split_once(" | ").unwrap();
            for name in names.split('`').skip(1).step_by(2) {
                shown.insert((program.into(), name.into(), why.into()));
            }
        }
    }
    let listed = listed_as_broken();
    let missing: Vec<_> = listed.difference(&shown).collect();
    let wrong: Vec<_> = shown.difference(&listed).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing {missing:#?}, wrong {wrong:#?}");
    assert!(listed.len() > 20, "only {} are listed", listed.len());
}

#[test]
fn steps_3_and_4_stay_alike() {
    let pairs = twins::compare(&root().join("step3-multiclient"), &root().join("step4-tokio"));
    let pairs = pairs.unwrap();
    let percent = |file| pairs.iter().find(|pair| pair.file == file).unwrap().percent();
    let (hub, all) = (percent("hub.rs"), percent("all"));
    assert!(hub >= 90 && all >= 75, "hub {hub} %, all {all} %");
    let readme = read("README.md");
    let sentence = format!("{all}% of all lines are the same, {hub}% of the hub");
    assert!(readme.contains(&sentence), "the README does not contain: {sentence}");
}

/// The number of lines of each file that may differ.
type Budgets = &'static [(&'static str, usize)];

/// How many lines may differ in each file that two neighbouring steps share. A hunk that is not the
/// lesson would exceed it.
const BUDGETS: [(&str, &str, Budgets); 5] = [
    (
        "step1-channels",
        "step2-tcp",
        &[("client.rs", 190), ("console.rs", 0), ("lib.rs", 50), ("main.rs", 70)],
    ),
    (
        "step2-tcp",
        "step3-multiclient",
        &[
            ("client.rs", 215),
            ("console.rs", 70),
            ("lib.rs", 65),
            ("main.rs", 45),
            ("server.rs", 130),
        ],
    ),
    (
        "step3-multiclient",
        "step4-tokio",
        &[
            ("accept.rs", 105),
            ("batch.rs", 5),
            ("client.rs", 100),
            ("console.rs", 20),
            ("hub.rs", 40),
            ("lib.rs", 5),
            ("main.rs", 40),
            ("operator.rs", 10),
            ("server.rs", 45),
            ("session.rs", 180),
            ("signals.rs", 35),
        ],
    ),
    (
        "step4-tokio",
        "step5-broadcast",
        &[
            ("accept.rs", 50),
            ("batch.rs", 205),
            ("client.rs", 35),
            ("console.rs", 10),
            ("hub.rs", 270),
            ("lib.rs", 60),
            ("main.rs", 130),
            ("operator.rs", 75),
            ("server.rs", 25),
            ("session.rs", 255),
            ("signals.rs", 10),
        ],
    ),
    (
        "step5-broadcast",
        "step6-cluster",
        &[
            ("accept.rs", 0),
            ("batch.rs", 0),
            ("client.rs", 0),
            ("commands.rs", 75),
            ("console.rs", 0),
            ("hub.rs", 40),
            ("lib.rs", 55),
            ("main.rs", 120),
            ("name.rs", 20),
            ("operator.rs", 0),
            ("reader.rs", 0),
            ("room.rs", 25),
            ("rooms.rs", 30),
            ("server.rs", 85),
            ("session.rs", 0),
            ("signals.rs", 0),
            ("timer.rs", 0),
            ("token_bucket.rs", 0),
            ("writer.rs", 0),
        ],
    ),
];

#[test]
fn neighbouring_steps_stay_close() {
    for (one, other, budgets) in BUDGETS {
        let pairs = twins::compare(&root().join(one), &root().join(other)).unwrap();
        let shared: BTreeSet<_> = pairs.iter().map(|pair| pair.file.as_str()).collect();
        let files = budgets.iter().map(|(file, _)| *file).chain(["all"]);
        assert_eq!(shared, files.collect(), "files that {one} and {other} share");
        for (file, budget) in budgets {
            let pair = pairs.iter().find(|pair| pair.file == *file).unwrap();
            let changed = pair.changed();
            assert!(changed <= *budget, "{one} to {other}: {changed} lines of {file} differ");
        }
    }
}

/// The tests that the last cells of the rows of a table name.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (rest, test) = line.strip_suffix("` |")?.rsplit_once('`')?;
        rest.starts_with("| ").then_some(test)
    })
}

#[test]
fn guarantees_are_tested() {
    let page = read("docs/guarantees.md");
    let (step5, step6) = page.split_once("\n## Between the nodes of step 6\n").unwrap();
    for (step, package, text) in [('5', "step5-broadcast", step5), ('6', "step6-cluster", step6)] {
        let promised = promised().into_iter().filter(|(_, steps)| steps.contains(&step));
        let mut run: BTreeSet<_> = promised.map(|(behaviour, _)| behaviour).collect();
        run.extend(package_tests(package));
        let mut checked = 0;
        for test in named_tests(text) {
            assert!(run.contains(test), "no test of step {step} runs under the name {test}");
            checked += 1;
        }
        assert!(checked > 20, "step {step}: {checked}");
    }
}

#[test]
fn the_faults_between_nodes_are_tested() {
    let page = read("docs/faults.md");
    let (_, table) = page.split_once(NODES).unwrap();
    let run = package_tests("step6-cluster");
    let mut checked = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cell = last_cell(row);
        for test in cell.split('`').skip(1).step_by(2) {
            assert!(run.contains(test), "no test of step 6 runs under the name {test}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
