//! The most similar name: for a missing tensor, what was probably meant.

/// Names that are compared, and their length in bytes, at most: names come from untrusted files, and a
/// suggestion is not worth a second.
const MAX_NAMES: usize = 1 << 14;
const MAX_LENGTH: usize = 160;

/// `None` if nothing is similar. A name that differs by a prefix of whole components
/// (`bert.pooler.bias`, `pooler.bias`) is the most similar; then comes the smallest edit distance, up
/// to a third of the length.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > MAX_LENGTH {
        return None;
    }
    let limit = wanted.len() / 3;
    let candidates = names.take(MAX_NAMES).filter(|n| n.len() <= MAX_LENGTH);
    let scored = candidates.filter_map(|name| {
        if is_component_suffix(name, wanted) || is_component_suffix(wanted, name) {
            return Some((0, name));
        }
        let close = name.len().abs_diff(wanted.len()) <= limit;
        close.then(|| distance(wanted.as_bytes(), name.as_bytes())).filter(|&d| d <= limit).map(|d| (d, name))
    });
    scored.min_by_key(|(score, _)| *score).map(|(_, name)| name)
}

fn is_component_suffix(long: &str, short: &str) -> bool {
    long.strip_suffix(short).is_some_and(|prefix| prefix.ends_with('.')) && !short.is_empty()
}

/// Levenshtein's.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
