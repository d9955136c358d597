//! Checks that the code in the docs stands in the files that it quotes.

use testkit::book::{Fence, fences, pages, read, root};

/// The number of quotes that the pages have at least.
const QUOTES: usize = 60;

/// What a reader of a page sees, and what the file has instead.
#[derive(Debug, PartialEq)]
struct Difference<'a> {
    /// The number of the line in the quote, from 0.
    at: usize,
    quoted: &'a str,
    /// The number of the line in the file, from 0, and the line; `None` at the end of the file.
    file: Option<(usize, &'a str)>,
    /// Whether the file has the lines, but before those that the quote has above them.
    out_of_order: bool,
}

/// Whether a line of a quote stands for left-out lines.
fn is_gap(line: &str) -> bool {
    matches!(line.trim(), "…" | "// …" | "# …")
}

/// Checks that the lines between the gaps of `quote` stand in `file`, in the same order. Each run
/// of lines may be indented less or more than in the file, as a whole.
fn compare<'a>(quote: &[&'a str], file: &[&'a str]) -> Result<(), Difference<'a>> {
    let mut from = 0;
    let mut at = 0;
    for run in quote.split(|line| is_gap(line)) {
        let (blank, lines) = trim(run);
        match find(lines, file, from) {
            Some(start) => from = start + lines.len(),
            None => {
                let out_of_order = find(lines, file, 0);
                let start = out_of_order.unwrap_or_else(|| closest(lines, file, from));
                let equal = match out_of_order {
                    Some(_) => 0,
                    None => equal_lines(lines, &file[start..]),
                };
                return Err(Difference {
                    at: at + blank + equal,
                    quoted: lines[equal],
                    file: file.get(start + equal).map(|line| (start + equal, *line)),
                    out_of_order: out_of_order.is_some(),
                });
            }
        }
        at += run.len() + 1;
    }
    Ok(())
}

/// `run` without the blank lines at both ends, and the number of those at its beginning.
fn trim<'a, 'b>(run: &'b [&'a str]) -> (usize, &'b [&'a str]) {
    let is_text = |line: &&str| !line.trim().is_empty();
    let start = run.iter().position(is_text).unwrap_or(run.len());
    let end = run.iter().rposition(is_text).map_or(start, |at| at + 1);
    (start, &run[start..end])
}

/// The first place at or behind `from` where `file` has all `lines`.
fn find(lines: &[&str], file: &[&str], from: usize) -> Option<usize> {
    (from..=file.len()).find(|at| equal_lines(lines, &file[*at..]) == lines.len())
}

/// How many of `lines` `file` begins with. All have to be indented by the same amount.
fn equal_lines(lines: &[&str], file: &[&str]) -> usize {
    let indent = |line: &str| (line.len() - line.trim_start().len()) as isize;
    let mut margin = None;
    let pairs = lines.iter().zip(file);
    let equal = pairs.take_while(|(quoted, line)| {
        let offset = indent(line) - indent(quoted);
        let aligned = quoted.trim().is_empty() || *margin.get_or_insert(offset) == offset;
        quoted.trim() == line.trim() && aligned
    });
    equal.count()
}

/// The place at or behind `from` that `lines` resemble most.
fn closest(lines: &[&str], file: &[&str], from: usize) -> usize {
    let resemblance = |at: &usize| {
        let pairs =
            || lines.iter().zip(&file[*at..]).map(|(quoted, line)| (quoted.trim(), line.trim()));
        let same = pairs().filter(|(quoted, line)| quoted == line && !line.is_empty()).count();
        let differ = pairs().find(|(quoted, line)| quoted != line);
        let prefix = differ.map_or(0, |(quoted, line)| {
            quoted.chars().zip(line.chars()).take_while(|(a, b)| a == b).count()
        });
        // `max_by_key` returns the last of several: prefer the first.
        (same, prefix, usize::MAX - at)
    };
    (from..=file.len()).max_by_key(resemblance).unwrap_or(from)
}

/// Everything that is wrong with a fence of a page.
fn problem(page: &str, fence: &Fence<'_>) -> Option<String> {
    let place = |at: usize| format!("{page}:{}", fence.line + at);
    let Some(path) = fence.comment else {
        let rust = fence.language.split(',').next() == Some("rust");
        return rust.then(|| format!("{}: Rust code without the path of its file", place(0)));
    };
    if !root().join(path).is_file() {
        return Some(format!("{}: the file {path} does not exist", place(0)));
    }
    let text = read(path);
    let Difference { at, quoted, file, out_of_order } =
        compare(&fence.lines, &text.lines().collect::<Vec<_>>()).err()?;
    let place = place(at);
    let (number, line) = match file {
        Some((number, line)) => (format!(":{}", number + 1), line),
        None => (String::new(), "(the end of the file)"),
    };
    Some(if out_of_order {
        format!(
            "{place}: in {path}{number}, this line stands above the lines before it:\n  {quoted}"
        )
    } else {
        format!("{place} differs from {path}{number}\n  page: {quoted}\n  file: {line}")
    })
}

#[test]
fn quoted_code_stands_in_its_file() {
    let mut quotes = 0;
    let mut problems = Vec::new();
    for page in pages() {
        for fence in fences(&read(&page)) {
            quotes += usize::from(fence.comment.is_some());
            problems.extend(problem(&page, &fence));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(quotes >= QUOTES, "only {quotes} quotes were found");
}

const FILE: [&str; 7] =
    ["fn a() {", "    b();", "    if c {", "        d();", "    }", "}", "e();"];

#[test]
fn a_quote_may_leave_lines_out_and_lose_its_margin() {
    for quote in [
        &["if c {", "    d();", "}"][..],
        &["fn a() {", "    // …", "    if c {", "        d();", "    // …", "}"],
        &["b();", "", "// …", "", "d();"],
        &["# …", "e();"],
    ] {
        assert_eq!(compare(quote, &FILE), Ok(()));
    }
}

#[test]
fn a_difference_is_shown_beside_the_file() {
    let difference = |quote: &[&'static str]| compare(quote, &FILE).unwrap_err();
    // A changed line, a left-out line, another order, another indentation, the end of the file.
    for (quote, at, file, out_of_order) in [
        (&["// …", "if c {", "    D();"][..], 2, Some((3, "        d();")), false),
        (&["b();", "d();"], 1, Some((2, "    if c {")), false),
        (&["e();", "// …", "b();"], 2, Some((1, "    b();")), true),
        (&["if c {", "d();"], 1, Some((3, "        d();")), false),
        (&["e();", "f();"], 1, None, false),
    ] {
        let expected = Difference { at, quoted: quote[at], file, out_of_order };
        assert_eq!(difference(quote), expected);
    }
}
