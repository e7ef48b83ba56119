//! How many columns a character takes.
//!
//! A pane shows what tmux draws, and tmux places everything by the widths it believes in: those of
//! its C library, in 3.3a. Where the tables of [`unicode_width`] say something else for a
//! character that tmux lets through, one such character would shift the rest of its line, so here
//! tmux is followed. Compared with tmux 3.3a on glibc 2.36 over all planes; characters younger than
//! that library are not in the lists, because tmux draws none of them.

use unicode_width::UnicodeWidthChar;

/// Signs of one column that the tables take for marks on the character before.
const NARROW: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{605}', '\u{605}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{9be}', '\u{9be}'),
    ('\u{9d7}', '\u{9d7}'),
    ('\u{b3e}', '\u{b3e}'),
    ('\u{b57}', '\u{b57}'),
    ('\u{bbe}', '\u{bbe}'),
    ('\u{bd7}', '\u{bd7}'),
    ('\u{cc0}', '\u{cc0}'),
    ('\u{cc2}', '\u{cc2}'),
    ('\u{cc7}', '\u{cc8}'),
    ('\u{cca}', '\u{ccb}'),
    ('\u{cd5}', '\u{cd6}'),
    ('\u{d3e}', '\u{d3e}'),
    ('\u{d4e}', '\u{d4e}'),
    ('\u{d57}', '\u{d57}'),
    ('\u{dcf}', '\u{dcf}'),
    ('\u{ddf}', '\u{ddf}'),
    ('\u{1715}', '\u{1715}'),
    ('\u{1734}', '\u{1734}'),
    ('\u{1b35}', '\u{1b35}'),
    ('\u{1b3b}', '\u{1b3b}'),
    ('\u{1b3d}', '\u{1b3d}'),
    ('\u{1b43}', '\u{1b44}'),
    ('\u{1baa}', '\u{1baa}'),
    ('\u{1bf2}', '\u{1bf3}'),
    ('\u{a8fa}', '\u{a8fa}'),
    ('\u{a953}', '\u{a953}'),
    ('\u{a9c0}', '\u{a9c0}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{111c0}', '\u{111c0}'),
    ('\u{111c2}', '\u{111c3}'),
    ('\u{11235}', '\u{11235}'),
    ('\u{1133e}', '\u{1133e}'),
    ('\u{1134d}', '\u{1134d}'),
    ('\u{11357}', '\u{11357}'),
    ('\u{114b0}', '\u{114b0}'),
    ('\u{114bd}', '\u{114bd}'),
    ('\u{115af}', '\u{115af}'),
    ('\u{116b6}', '\u{116b6}'),
    ('\u{11930}', '\u{11930}'),
    ('\u{1193d}', '\u{1193d}'),
    ('\u{1193f}', '\u{1193f}'),
    ('\u{11941}', '\u{11941}'),
    ('\u{11a84}', '\u{11a89}'),
    ('\u{11d46}', '\u{11d46}'),
    ('\u{1d165}', '\u{1d166}'),
    ('\u{1d16d}', '\u{1d172}'),
];

/// Returns how many columns a character takes: 2, 1, or 0 if it stands on the one before. A
/// control character takes none.
pub fn columns(c: char) -> usize {
    match (c.width().unwrap_or(0), c) {
        (0, '\u{302e}'..='\u{302f}' | '\u{3164}' | '\u{16ff0}'..='\u{16ff1}') => 2,
        (0, _) => usize::from(NARROW.binary_search_by(|it| place(*it, c)).is_ok()),
        (1, '\u{3248}'..='\u{324f}') => 2,
        // Wide since Unicode 16; C libraries in use say otherwise.
        (2, '\u{2630}'..='\u{2637}' | '\u{268a}'..='\u{268f}') => 1,
        (2, '\u{17a4}' | '\u{1d300}'..='\u{1d356}' | '\u{1d360}'..='\u{1d376}') => 1,
        (1 | 2, _) => c.width().unwrap_or(1),
        (3.., _) => 1,
    }
}

fn place((first, last): (char, char), c: char) -> std::cmp::Ordering {
    if last < c {
        std::cmp::Ordering::Less
    } else if c < first {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(NARROW.is_sorted_by(|a, b| a.0 <= a.1 && a.1 < b.0));
    }

    #[test]
    fn widths_are_tmuxs() {
        for (c, expected) in [
            ('a', 1),
            ('\u{7f}', 0),
            ('\u{300}', 0),
            ('\u{200d}', 0),
            ('\u{ad}', 1),
            ('\u{cc7}', 1),
            ('漢', 2),
            ('☰', 1),
            ('㉈', 2),
            ('\u{3164}', 2),
            ('🇩', 1),
            ('\u{17d8}', 1),
            ('🏽', 2),
        ] {
            assert_eq!(columns(c), expected, "{}", c.escape_unicode());
        }
    }
}
