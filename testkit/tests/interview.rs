//! Checks the interview questions: their form, and that each proof exists and says what is claimed.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::book::{all_tests, examples, pages, read, root};

/// What a proof may name.
struct Known {
    tests: BTreeSet<String>,
    examples: BTreeSet<String>,
}

/// A question and its parts.
struct Entry<'a> {
    title: &'a str,
    answer: &'a str,
    proof: String,
    follow_up: String,
    misconception: String,
}

/// The numbered questions of the page.
fn entries(page: &str) -> Vec<Entry<'_>> {
    let parts = page.split("\n### ").skip(1);
    let numbered = parts.filter(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    let entries = numbered.map(|part| {
        let part = part.split("\n## ").next().unwrap_or_default();
        let (title, text) = part.split_once('\n').unwrap_or((part, ""));
        let answer = text.split("\n- **").next().unwrap_or_default().trim();
        let item = |name: &str| {
            let (_, rest) = text.split_once(&format!("\n- **{name}:** ")).unwrap_or_default();
            words(rest.split("\n- **").next().unwrap_or_default())
        };
        Entry {
            title,
            answer: answer.strip_prefix("Answer: ").unwrap_or(answer),
            proof: item("Proof"),
            follow_up: item("Follow-up"),
            misconception: item("Most people say"),
        }
    });
    entries.collect()
}

/// The text in one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Everything that is wrong with an entry; `number` is the one that it should have.
fn problems(number: usize, entry: &Entry<'_>, known: &Known) -> Vec<String> {
    let mut problems = Vec::new();
    if !entry.title.starts_with(&format!("{number}. ")) || !entry.title.contains('?') {
        problems.push(format!("the title is not question {number}"));
    }
    let length = entry.answer.split_whitespace().count();
    if !(40..=150).contains(&length) {
        problems.push(format!("the answer has {length} words"));
    }
    let (question, answer) = entry.follow_up.split_once("? ").unwrap_or_default();
    if question.is_empty() || answer.is_empty() {
        problems.push("the follow-up needs a question and its answer".into());
    }
    if entry.misconception.split(". ").count() < 2 && !entry.misconception.contains(".\" ") {
        problems.push("\"Most people say\" needs the wrong answer and what is wrong".into());
    }
    if entry.proof.is_empty() {
        problems.push("there is no proof".into());
    }
    let proofs = entry.proof.split("; ").filter(|proof| !proof.is_empty());
    problems.extend(proofs.filter_map(|proof| unproved(proof, known)));
    problems
}

/// Why a proof proves nothing.
fn unproved(proof: &str, known: &Known) -> Option<String> {
    let name = |kind: &str| proof.strip_prefix(kind)?.strip_prefix(" `")?.strip_suffix('`');
    if let Some(name) = name("test") {
        return (!known.tests.contains(name))
            .then(|| format!("no test runs under the name {name}"));
    }
    if let Some(name) = name("pitfall") {
        return (!known.examples.contains(name)).then(|| format!("no example is called {name}"));
    }
    if proof.starts_with("figure ") {
        return figures(proof)
            .next()
            .is_none()
            .then(|| format!("not the form of a figure: {proof}"));
    }
    let link = proof.strip_prefix("[`").and_then(|link| link.strip_suffix(')'));
    let Some((identifier, path)) = link.and_then(|link| link.split_once("`](../")) else {
        return Some(format!("not the form of a proof: {proof}"));
    };
    if !root().join(path).is_file() {
        return Some(format!("the file {path} does not exist"));
    }
    let found = contains_identifier(&read(path), identifier);
    (!found).then(|| format!("{path} does not contain {identifier}"))
}

/// Whether `code` has the identifier as a whole word, outside comments.
fn contains_identifier(code: &str, identifier: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.into_iter().any(|line| line.split(|c| !part_of_name(c)).any(|word| word == identifier))
}

/// A claim about a value of `docs/measurements/TABLE.json`.
#[derive(Debug, PartialEq)]
struct Figure<'a> {
    table: &'a str,
    row: &'a str,
    column: &'a str,
    value: f64,
}

/// The claims of the form ``figure `table`, `row`, `column`: about 35`` in a text without line
/// breaks. Three names that are followed by no number are a claim, too: its value is NaN.
fn figures(text: &str) -> impl Iterator<Item = Figure<'_>> {
    text.split("figure `").skip(1).filter_map(|rest| {
        let (table, rest) = rest.split_once("`, `")?;
        let (row, rest) = rest.split_once("`, `")?;
        let (column, rest) = rest.split_once('`')?;
        let value = rest.strip_prefix(": about ").or(rest.strip_prefix(": ")).unwrap_or_default();
        let digits = value.split(|c: char| !c.is_ascii_digit() && !".,".contains(c)).next()?;
        let value = digits.trim_end_matches(['.', ',']).replace(',', "").parse();
        Some(Figure { table, row, column, value: value.unwrap_or(f64::NAN) })
    })
}

/// Compares a claim with the measured value, to within a third.
fn check_figure(figure: &Figure<'_>) -> Result<(), String> {
    let Figure { table, row, column, value } = figure;
    let path = format!("docs/measurements/{table}.json");
    if !root().join(&path).is_file() {
        return Err(format!("there is no {path}"));
    }
    let json: Value = serde_json::from_str(&read(&path)).map_err(|error| error.to_string())?;
    let list = |key: &str| json[key].as_array().into_iter().flatten();
    let values = list("rows").find(|candidate| candidate["label"] == *row);
    let values = values.ok_or(format!("{path} has no row \"{row}\""))?;
    // Some columns have the same name as another.
    let measured: Vec<_> = list("columns")
        .enumerate()
        .filter(|(_, candidate)| *candidate == column)
        .filter_map(|(at, _)| values["values"][at].as_f64())
        .collect();
    if measured.iter().any(|measured| (measured - value).abs() <= measured.abs() / 3.0) {
        return Ok(());
    }
    Err(format!("\"{row}\", \"{column}\" is {measured:?} in {path}, and not about {value}"))
}

#[test]
fn each_question_has_an_answer_and_proofs_that_hold() {
    let page = read("docs/interview.md");
    let names = examples().into_keys().map(|(_, name)| name);
    let known = Known { tests: all_tests(), examples: names.collect() };
    let entries = entries(&page);
    let mut found = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let problems = problems(at + 1, entry, &known);
        if !problems.is_empty() {
            found.push(format!("{}\n  {}", entry.title, problems.join("\n  ")));
        }
    }
    assert!(found.is_empty(), "docs/interview.md\n{}\n", found.join("\n"));
    assert!(entries.len() >= 60, "only {} questions", entries.len());
}

#[test]
fn figures_agree_with_the_measurements() {
    let mut found = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for figure in figures(&words(&read(&page))) {
            found.extend(check_figure(&figure).err().map(|problem| format!("{page}: {problem}")));
            checked += 1;
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    assert!(checked >= 10, "only {checked} figures were found");
}

#[test]
fn the_parts_of_an_entry_are_found() {
    let page = "# Q\n\n### 1. Why?\n\nAnswer: Because\nof it.\n\n- **Proof:** test `a`; pitfall `b`\n\
                - **Follow-up:** And\n  then? No.\n- **Most people say:** \"Yes.\" No.\n\n## Next\n\nx";
    let [entry] = &entries(page)[..] else { panic!("one entry") };
    assert_eq!((entry.title, entry.answer), ("1. Why?", "Because\nof it."));
    assert_eq!(entry.proof, "test `a`; pitfall `b`");
    assert_eq!(
        (entry.follow_up.as_str(), entry.misconception.as_str()),
        ("And then? No.", "\"Yes.\" No.")
    );
    let known = Known { tests: ["a".into()].into(), examples: BTreeSet::new() };
    let problems = problems(1, entry, &known);
    assert_eq!(problems, ["the answer has 3 words", "no example is called b"]);
}

#[test]
fn a_proof_has_to_exist() {
    let known = Known { tests: ["runs".into()].into(), examples: ["shows".into()].into() };
    for proof in ["test `runs`", "pitfall `shows`", "[`EVENTS`](../step3-multiclient/src/hub.rs)"] {
        assert_eq!(unproved(proof, &known), None);
    }
    for proof in [
        "test `shows`",
        "pitfall `runs`",
        "trust me",
        "[`EVENT`](../step3-multiclient/src/hub.rs)",
        "[`EVENTS`](../step3-multiclient/src/club.rs)",
        "figure `idle`, `step 3`",
    ] {
        assert!(unproved(proof, &known).is_some(), "{proof}");
    }
}

#[test]
fn a_figure_may_differ_by_a_third() {
    let text = "a figure `idle`, `step 3, 1000 clients`, `threads`: about 2,004. A `b`, `c`: 1";
    let figure =
        Figure { table: "idle", row: "step 3, 1000 clients", column: "threads", value: 2004.0 };
    assert_eq!(figures(text).collect::<Vec<_>>(), [figure]);
    let claim = |row, column, value| check_figure(&Figure { table: "idle", row, column, value });
    for value in [1400.0, 2600.0] {
        assert_eq!(claim("step 3, 1000 clients", "threads", value), Ok(()));
    }
    for value in [1300.0, 2700.0, f64::NAN] {
        assert!(claim("step 3, 1000 clients", "threads", value).is_err(), "{value}");
    }
    assert!(claim("step 3", "threads", 2004.0).is_err());
    assert!(claim("step 3, 1000 clients", "thread", 2004.0).is_err());
}
