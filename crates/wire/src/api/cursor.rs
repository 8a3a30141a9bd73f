//! Opaque cursors of lists ordered by position, newest first.
//!
//! A cursor belongs to its list: that of another list, or one that was changed, is invalid.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Position;

/// Length of the check that follows the position.
const CHECK: usize = 8;

/// The cursor behind the item at `last`.
pub(super) fn write(list: &str, last: Position) -> String {
    let position = last.0.to_be_bytes();
    URL_SAFE_NO_PAD.encode([&position[..], &check(list, position)].concat())
}

/// The position in a cursor of this list.
pub(super) fn read(list: &str, text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (position, sent) = bytes.split_first_chunk::<8>()?;
    (sent == check(list, *position)).then(|| Position(u64::from_be_bytes(*position)))
}

fn check(list: &str, position: [u8; 8]) -> [u8; CHECK] {
    let digest = digest::digest(&digest::SHA256, &[list.as_bytes(), &[0], &position].concat());
    let mut check = [0; CHECK];
    check.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_in_its_own_list_only() {
        let cursor = write("events 1 app", Position(42));
        assert_eq!(read("events 1 app", &cursor), Some(Position(42)));
        assert_eq!(read("events 1 other", &cursor), None);
        for wrong in ["", "AAAA", &cursor[1..], &format!("{cursor}A"), &cursor.replacen('A', "B", 1)] {
            assert_eq!(read("events 1 app", wrong), None, "{wrong}");
        }
    }
}
