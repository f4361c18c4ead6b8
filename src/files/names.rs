//! How alike two names are, for errors that suggest what was meant.

/// Most changes of a letter between a name and what was meant.
const MAX_CHANGES: usize = 2;
/// Longest name to compare.
const MAX_NAME: usize = 60;

/// The number of letters to insert, remove or replace to turn one name into the other (Levenshtein's distance), if it is
/// small.
pub(crate) fn changes(a: &str, b: &str) -> Option<usize> {
    if a.len().max(b.len()) > MAX_NAME || a.len().abs_diff(b.len()) > MAX_CHANGES {
        return None;
    }
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|&changes| changes <= MAX_CHANGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_are_counted() {
        for (a, b, expected) in [
            ("kitten", "sitten", Some(1)),
            ("kitten", "sitting", None),
            ("", "ab", Some(2)),
            ("a", "abcde", None),
            ("abcd", "efgh", None),
        ] {
            assert_eq!(changes(a, b), expected, "{a} {b}");
        }
    }
}
