//! The masks in an expected output: `…` alone on a line stands for any lines; within a line,
//! `<port>`, `<n>` and `<ms>` stand for a number.

const MASKS: [&str; 3] = ["<port>", "<n>", "<ms>"];

/// Whether `actual` is what `expected` says. Whitespace at the end of lines does not matter.
pub(crate) fn output_matches(expected: &str, actual: &str) -> bool {
    let expected: Vec<_> = expected.trim_end().lines().map(str::trim_end).collect();
    let actual: Vec<_> = actual.trim_end().lines().map(str::trim_end).collect();
    lines_match(&expected, &actual)
}

fn lines_match(expected: &[&str], actual: &[&str]) -> bool {
    match (expected, actual) {
        ([], rest) => rest.is_empty(),
        (["…", rest @ ..], _) => (0..=actual.len()).any(|n| lines_match(rest, &actual[n..])),
        ([line, expected @ ..], [first, actual @ ..]) => {
            line_matches(line, first) && lines_match(expected, actual)
        }
        (_, []) => false,
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let masks = MASKS.iter().filter_map(|mask| Some((expected.find(mask)?, mask.len())));
    let Some((at, mask)) = masks.min() else { return expected == actual };
    let Some(rest) = actual.strip_prefix(&expected[..at]) else { return false };
    let number = number(rest);
    number > 0 && line_matches(&expected[at + mask..], &rest[number..])
}

/// The length of the number at the beginning of `text`: digits, and perhaps a fraction.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    if whole > 0 && fraction > 0 { whole + 1 + fraction } else { whole }
}

#[test]
fn a_line_without_masks_is_compared_as_it_is() {
    assert!(output_matches("a\nb\n", "a\nb \n"));
    assert!(!output_matches("a\nb", "a"));
    assert!(!output_matches("a", "a\nb"));
    assert!(!output_matches("a\nb", "b\na"));
    assert!(output_matches("", "\n"));
}

#[test]
fn an_ellipsis_stands_for_any_lines() {
    for actual in ["a\nz", "a\nb\nz", "a\nz\nc\nz"] {
        assert!(output_matches("a\n…\nz", actual), "{actual}");
    }
    assert!(output_matches("…", ""));
    assert!(output_matches("…\nb\n…\nb\n…", "a\nb\nb"));
    assert!(!output_matches("…\nb\n…\nb\n…", "a\nb\nc"));
    assert!(!output_matches("a …", "a b"));
}

#[test]
fn a_mask_stands_for_one_number() {
    assert!(output_matches("127.0.0.1:<port> after <ms> ms", "127.0.0.1:4711 after 12 ms"));
    assert!(output_matches("<n> of <n>.", "3 of 10."));
    assert!(output_matches("took <n>s", "took 0.25s"));
    for actual in ["took s", "took xs", "took 1s or 2s", "took 1.s", "took -1s"] {
        assert!(!output_matches("took <n>s", actual), "{actual}");
    }
}
