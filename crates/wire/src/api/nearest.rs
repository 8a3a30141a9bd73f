//! The known name that a mistyped one probably means.

/// The nearest of `known`, if it is near enough to be meant: a third of the letters may differ.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    known
        .iter()
        .map(|candidate| (distance(&name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names beyond this length mean none of ours, and are not worth comparing to the end.
const LONGEST: usize = 64;

/// Letters to insert, remove, replace, or swap with their neighbour, to make `known` out of `name`.
fn distance(name: &[char], known: &str) -> usize {
    let known: Vec<char> = known.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=known.len()).collect();
    for (row, letter) in name.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in known.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut best = replaced.min(last[column + 1] + 1).min(line[column] + 1);
            let swapped = row > 0 && column > 0 && name[row - 1] == *other && known[column - 1] == *letter;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["events", "filter", "config", "send_product_identifier"];
        let check = |name: &str, expect| assert_eq!(nearest(name, &known), expect, "{name}");
        check("event", Some("events"));
        check("Events", Some("events"));
        check("confgi", Some("config"));
        check("send_product_identifer", Some("send_product_identifier"));
        check("webhook", None);
        check("", None);
        check(&"x".repeat(10_000), None);
    }
}
