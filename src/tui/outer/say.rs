//! What is said to the terminal besides frames: clipboard, title, notifications.

use crate::stdx::text::one_line;

/// The longest text put on the clipboard, in bytes. Terminals drop longer ones, some of them whole.
const COPY_MAX: usize = 100_000;

/// The longest title.
const TITLE_MAX: usize = 200;

/// Returns what puts text on the person's clipboard (OSC 52).
pub fn copy(text: &str) -> Vec<u8> {
    let mut end = text.len().min(COPY_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = b"\x1b]52;c;".to_vec();
    base64(&text.as_bytes()[..end], &mut bytes);
    bytes.extend_from_slice(b"\x1b\\");
    bytes
}

/// Returns what sets the window's title.
pub fn title(text: &str) -> Vec<u8> {
    format!("\x1b]2;{}\x1b\\", one_line(text, TITLE_MAX)).into_bytes()
}

/// Returns what tells a person who looks elsewhere, in both forms that terminals know; a tmux in
/// between has to be told that it is not for itself.
pub fn notification(title: &str, body: &str, in_tmux: bool) -> Vec<u8> {
    // The second form has its parts divided by semicolons.
    let clean = |it: &str| one_line(it, TITLE_MAX).replace(';', ",");
    let (title, body) = (clean(title), clean(body));
    let forms =
        [format!("\x1b]9;{title}: {body}\x1b\\"), format!("\x1b]777;notify;{title};{body}\x1b\\")];
    let mut bytes = Vec::new();
    for form in forms {
        match in_tmux {
            true => {
                bytes.extend_from_slice(b"\x1bPtmux;");
                bytes.extend(form.replace('\x1b', "\x1b\x1b").into_bytes());
                bytes.extend_from_slice(b"\x1b\\");
            }
            false => bytes.extend(form.into_bytes()),
        }
    }
    bytes
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|it| chunk.get(it).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, a, b, c]);
        for digit in 0..4 {
            let used = digit <= chunk.len();
            let at = (bits >> (18 - 6 * digit) & 63) as usize;
            out.push(if used { DIGITS[at] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap().replace('\x1b', "^")
    }

    #[test]
    fn texts_reach_the_clipboard_whole() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob\u{1b}", "Zm9vYhs=")]
        {
            assert_eq!(text(copy(plain)), format!("^]52;c;{coded}^\\"));
        }
        assert!(copy(&"é".repeat(COPY_MAX)).len() < 2 * COPY_MAX);
    }

    #[test]
    fn hostile_words_end_no_sequence() {
        assert_eq!(text(title("a\x07b\x1b]0;c")), "^]2;a\u{fffd}b\u{fffd}]0;c^\\");
        assert_eq!(
            text(notification("a;b", "c\x1b\\", false)),
            "^]9;a,b: c\u{fffd}\\^\\^]777;notify;a,b;c\u{fffd}\\^\\"
        );
        assert!(text(notification("a", "b", true)).starts_with("^Ptmux;^^]9;a: b^^\\^\\"));
    }
}
