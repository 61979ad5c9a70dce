//! Scopes, words of the language that cannot be redefined, and the nearest known name.

use super::{Thing, functions};
use std::collections::HashMap;

/// Lexical scopes, innermost last.
#[derive(Default)]
pub(crate) struct Scopes {
    scopes: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    names: HashMap<String, Thing>,
    /// A helper's body does not see the names of its caller.
    closed: bool,
}

impl Scopes {
    /// Opens a scope; a `closed` one hides all around it.
    pub(crate) fn open(&mut self, closed: bool) {
        self.scopes.push(Scope { names: HashMap::new(), closed });
    }

    /// Closes the innermost scope.
    pub(crate) fn close(&mut self) {
        self.scopes.pop();
    }

    /// Binds in the innermost scope.
    pub(crate) fn bind(&mut self, name: impl Into<String>, thing: Thing) {
        if self.scopes.is_empty() {
            self.open(false);
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.names.insert(name.into(), thing);
        }
    }

    /// What `name` is bound to here.
    pub(crate) fn find(&self, name: &str) -> Option<&Thing> {
        self.visible().find_map(|scope| scope.names.get(name))
    }

    /// All names that can be seen here.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.visible().flat_map(|scope| scope.names.keys().map(String::as_str))
    }

    fn visible(&self) -> impl Iterator<Item = &Scope> {
        let closed = self.scopes.iter().rposition(|scope| scope.closed).unwrap_or(0);
        self.scopes.iter().skip(closed).rev()
    }
}

/// Names that only the language gives a meaning, besides the functions.
const WORDS: &[&str] = &[
    "tile",
    "each",
    "unroll",
    "zeros",
    "full",
    "dot",
    "select",
    "outer",
    "fold",
    "max",
    "min",
    "scan",
    "cumsum",
    "rand",
    "randint",
    "device_print",
];

/// Whether `name` is a word of the language, which nothing may be called.
pub(crate) fn is_word(name: &str) -> bool {
    WORDS.contains(&name) || functions::is_function(name)
}

/// The words of the language that are called like functions.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().copied().chain(functions::names())
}

/// The known name nearest to a misspelt one, if any is near.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let limit = if name.chars().count() <= 4 { 1 } else { 2 };
    let far = |other: &str| distance(name, other);
    let mut near: Vec<&str> =
        known.into_iter().filter(|other| *other != name && far(other) <= limit).collect();
    near.sort_by_key(|other| (far(other), other.len(), (*other).to_string()));
    near.first().map(|other| (*other).to_string())
}

/// Edit distance; two neighbours swapped count as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
