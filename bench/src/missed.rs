//! The lines that a server reports as missed.

/// What begins a report, which is a line of its own.
const START: &[u8] = b"! missed ";

/// Counts the lines that the server has told one client it missed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Missed {
    /// The sum of all reports so far.
    pub(crate) lines: u64,
    /// A report that has not arrived completely.
    partial: Vec<u8>,
}

impl Missed {
    /// Counts the reports in what has arrived. Returns how many lines they add up to.
    ///
    /// The lines of the load contain no `!`, so this costs one fast search.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let before = self.lines;
        while !bytes.is_empty() {
            if self.partial.is_empty() {
                let Some(start) = memchr::memchr(START[0], bytes) else { break };
                bytes = &bytes[start..];
            }
            let end = memchr::memchr(b'\n', bytes);
            self.partial.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { break };
            self.lines += reported(&self.partial).unwrap_or_default();
            self.partial.clear();
            bytes = &bytes[end + 1..];
        }
        self.lines - before
    }
}

/// The number in `! missed N lines`.
pub(crate) fn reported(line: &[u8]) -> Option<u64> {
    let rest = std::str::from_utf8(line.strip_prefix(START)?).ok()?;
    rest.strip_suffix(" lines")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"a: x~\n! missed 12 lines\na: hi!\n! too slow\n! missed 30 lines\na: x~\n";

    #[test]
    fn reports_are_added_up() {
        let mut missed = Missed::default();
        assert_eq!(missed.read(TEXT), 42);
        assert_eq!(missed.read(TEXT), 42);
        assert_eq!(missed.lines, 84);
    }

    #[test]
    fn a_report_may_arrive_in_pieces() {
        for split in 0..TEXT.len() {
            let (head, tail) = TEXT.split_at(split);
            let mut missed = Missed::default();
            assert_eq!(missed.read(head) + missed.read(tail), 42, "split at {split}");
        }
    }
}
