//! Runs the tasks of the section "Predict, then run" of each step's page, and compares what they
//! print with what the page says.
#![cfg(unix)]

mod copy;
mod masks;
mod page;
mod run;

use std::sync::Mutex;

use testkit::book::{fences, pages, read};

use crate::copy::Copy;
use crate::masks::output_matches;
use crate::page::{SECTION, Task, tasks};

/// The tasks share one copy of the workspace.
static COPY: Mutex<()> = Mutex::new(());

/// Runs all tasks of a step's page, at least `min`.
fn check(step: &str, min: usize) {
    let _copy = COPY.lock().unwrap_or_else(|error| error.into_inner());
    let tasks = tasks(&read(&format!("docs/{step}.md")));
    assert!(tasks.len() >= min, "{step} has only {} tasks", tasks.len());
    let failures: Vec<_> = tasks
        .iter()
        .filter_map(|task| {
            let problem = run(task).err()?;
            Some(format!("docs/{step}.md, task {}\n\n{problem}", task.title))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}

/// Runs a task in a copy of the workspace with its change.
fn run(task: &Task) -> Result<(), String> {
    let copy = Copy::update().map_err(|error| format!("cannot copy the workspace: {error}"))?;
    if let Some(diff) = &task.diff {
        copy.apply(diff)?;
    }
    for build in run::builds(&task.commands) {
        copy.build(&build)?;
    }
    // The page uses the default port, which may be taken.
    let port = run::free_port().to_string();
    let commands = task.commands.replace("8080", &port);
    let printed = run::run(copy.command("bash"), &commands, run::LIMIT)?.replace(&port, "8080");
    if output_matches(&task.output, &printed) {
        return Ok(());
    }
    Err(format!("expected:\n{}\nactual:\n{}", indent(&task.output), indent(&printed)))
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  | {line}\n")).collect()
}

/// Outside the tasks, too: commands with their output directly behind them.
#[test]
fn commands_print_the_output_below_them() {
    let _copy = COPY.lock().unwrap_or_else(|error| error.into_inner());
    let mut checked = 0;
    for page in pages() {
        let text = read(&page);
        for pair in fences(&text).windows(2) {
            let [commands, output] = pair else { continue };
            // The end of one fence, a blank line, and the beginning of the other.
            let adjacent = output.line == commands.line + commands.lines.len() + 3;
            if !adjacent || (commands.language, output.language) != ("sh", "text") {
                continue;
            }
            let [commands, output] = [commands, output].map(|fence| fence.lines.join("\n") + "\n");
            let task = Task { title: page.clone(), diff: None, commands, output };
            run(&task).unwrap_or_else(|problem| panic!("{page}\n\n{problem}"));
            checked += 1;
        }
    }
    assert!(checked > 0, "no commands with an output were found");
}

#[test]
fn step1() {
    check("step1", 5);
}

#[test]
fn step2() {
    check("step2", 5);
}

#[test]
fn step3() {
    check("step3", 6);
}

#[test]
fn step4() {
    check("step4", 6);
}

#[test]
fn step5() {
    check("step5", 6);
}

#[test]
fn step6() {
    check("step6", 6);
}

#[test]
fn every_page_with_tasks_is_tested() {
    let with_tasks = pages().into_iter().filter(|page| read(page).contains(SECTION));
    let tested = [1, 2, 3, 4, 5, 6].map(|step| format!("docs/step{step}.md"));
    assert_eq!(with_tasks.collect::<Vec<_>>(), tested);
}
