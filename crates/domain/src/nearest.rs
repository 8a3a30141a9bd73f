//! "Did you mean …": the known name nearest to an unknown one.

/// The candidate with the smallest case-insensitive edit distance to `name`, if near enough: at most a third of the
/// name differs (two characters in a short one).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer than any known name; bounds the work for a hostile one.
    const LONGEST: usize = 128;
    let name: Vec<char> = name.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    let bound = (name.len() / 3).max(2).min(name.len().saturating_sub(1));
    (distance <= bound).then_some(candidate)
}

/// Number of insertions, deletions, replacements and swaps of neighbours.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let mut least = (above[column] + usize::from(a != b)).min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *b && to[column - 1] == *a {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        let names = ["user", "user_type", "attribute", "scope", "channel", "locale"];
        let check = |name: &str, expect: Option<&str>| assert_eq!(nearest(name, names), expect, "{name}");
        check("usr", Some("user"));
        check("User", Some("user"));
        check("usertype", Some("user_type"));
        check("attirbutes", Some("attribute"));
        check("chanel", Some("channel"));
        check("locales", Some("locale"));
        check("price", None);
        check("x", None);
        check("", None);
        check(&"attribute".repeat(1000), None);
    }
}
