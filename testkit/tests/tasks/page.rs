//! The form of the tasks on a page.

use testkit::book::fences;

/// The heading of the section that contains the tasks.
pub(crate) const SECTION: &str = "\n## Predict, then run\n";

const SUMMARY: &str = "<details><summary>What happens, and why</summary>\n";

/// A task: what to run, and what it prints.
#[derive(Debug, PartialEq)]
pub(crate) struct Task {
    /// Number and title.
    pub(crate) title: String,
    /// A change of the code.
    pub(crate) diff: Option<String>,
    pub(crate) commands: String,
    /// Stdout and stderr together, with masks.
    pub(crate) output: String,
}

/// The tasks of a page. Panics if one of them does not have the form.
pub(crate) fn tasks(page: &str) -> Vec<Task> {
    let Some((_, section)) = page.split_once(SECTION) else { return Vec::new() };
    let section = section.split("\n## ").next().unwrap_or_default();
    let parts = section.split("\n### ").skip(1).enumerate();
    parts.map(|(n, part)| task(n + 1, part)).collect()
}

fn task(number: usize, part: &str) -> Task {
    let (title, text) = part.split_once('\n').unwrap_or((part, ""));
    assert!(title.starts_with(&format!("{number}. ")), "task {number} has the title {title}");
    let answered = text
        .split_once(SUMMARY)
        .and_then(|(question, answer)| Some((question, answer.split_once("</details>")?)));
    let Some((question, (answer, rest))) = answered else {
        panic!("task {title} has no answer that begins with {SUMMARY}");
    };
    assert_eq!(rest.trim(), "", "text behind the answer of task {title}");
    let content = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect();
    let (asked, answers) = (fences(question), fences(answer));
    let (diff, commands) = match &asked[..] {
        [sh] if sh.language == "sh" => (None, content(&sh.lines)),
        [diff, sh] if (diff.language, sh.language) == ("diff", "sh") => {
            (Some(content(&diff.lines)), content(&sh.lines))
        }
        _ => panic!("task {title} needs a fence `sh`, perhaps behind a fence `diff`"),
    };
    let [output] = &answers[..] else { panic!("the answer of task {title} needs one fence") };
    assert_eq!(output.language, "text", "the output of task {title}");
    let (_, explanation) = answer.rsplit_once("```\n").unwrap_or_default();
    let words = explanation.split_whitespace().count();
    assert!((20..=150).contains(&words), "task {title} is explained in {words} words");
    Task { title: title.into(), diff, commands, output: content(&output.lines) }
}

#[test]
fn a_task_has_a_change_commands_and_an_output() {
    let page = format!(
        "# A page\n{SECTION}\nRun them.\n\n### 1. One\n\nPredict.\n\n```diff\n-a\n+b\n```\n\n\
         ```sh\necho one\necho two\n```\n\n{SUMMARY}\n```text\none\n…\n```\n\n{}\n</details>\n\n\
         ### 2. Two\n\n```sh\ntrue\n```\n\n{SUMMARY}\n```text\n```\n\n{}\n</details>\n\n## Next\n",
        "A reason. ".repeat(10),
        "A reason. ".repeat(10),
    );
    let task = |title: &str, diff: Option<&str>, commands: &str, output: &str| Task {
        title: title.into(),
        diff: diff.map(str::to_owned),
        commands: commands.into(),
        output: output.into(),
    };
    let one = task("1. One", Some("-a\n+b\n"), "echo one\necho two\n", "one\n…\n");
    assert_eq!(tasks(&page), [one, task("2. Two", None, "true\n", "")]);
}
