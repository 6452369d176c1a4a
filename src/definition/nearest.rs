//! The known name that is nearest to a misspelt one.

/// Longest name that is compared, in characters: the comparison costs the product of both lengths.
const MAX_COMPARED_CHARS: usize = 64;

/// `; did you mean ...?` with the nearest of the known names, or nothing if none is near.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The known name with the fewest edits to `word`: one, or two in a word of six characters and more.
pub(in crate::definition) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_COMPARED_CHARS + 1).collect();
    if word.is_empty() || word.len() > MAX_COMPARED_CHARS {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let limit = best.map_or((word.len() / 3).clamp(1, 2), |(edits, _)| edits.saturating_sub(1));
        let length = name.chars().count();
        if length > MAX_COMPARED_CHARS || length.abs_diff(word.len()) > limit {
            continue;
        }
        let edits = edits(&word, name);
        if edits <= limit && edits < word.len().max(length) {
            best = Some((edits, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string alignment).
fn edits(word: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=name.len()).collect();
    for (row, &a) in word.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        for (column, &b) in name.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, column) + usize::from(a != b))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && name.get(column - 1) == Some(&a) && word.get(row - 1) == Some(&b);
            if swapped {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_insertions_deletions_replacements_and_swaps() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("identifers", "identifiers", 1),
        ] {
            let word: Vec<char> = a.chars().collect();
            assert_eq!(edits(&word, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_wins_and_a_far_one_is_not_offered() {
        let known = ["unique", "filter", "operator", "name"];
        assert_eq!(nearest("uniqe", known), Some("unique"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
