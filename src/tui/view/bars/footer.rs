//! The line of keys, made of the table. A key that does not fit is left out whole.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::{
    canvas::Canvas,
    keymap::{Action, Binding, Context, Keymap, TABLE},
    model::Shared,
    theme::Role,
};

/// Columns between two keys.
const GAP: u16 = 2;

/// What is added to the rank of a key that counts everywhere: a place has fewer keys.
const GLOBAL_RANKS: u8 = 10;

/// A key that is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    action: Action,
    key: String,
    word: &'static str,
    /// Where it begins, from the left of the line.
    x: u16,
    width: u16,
}

/// Returns what is drawn on so many columns: the place's own keys, then those that count
/// everywhere, by their rank; help is last and is always there if it fits at all.
pub fn hints(keymap: &Keymap, context: Context, width: u16) -> Vec<Hint> {
    let mut rows: Vec<&Binding> = TABLE
        .iter()
        .filter(|it| it.footer != 0)
        .filter(|it| {
            it.context == context || (it.context == Context::Global && context.has_global())
        })
        .collect();
    // The place's own keys come first; one of a rank past those of everywhere comes after them.
    let everywhere = |it: &Binding| if it.context == Context::Global { GLOBAL_RANKS } else { 0 };
    rows.sort_by_key(|it| it.footer.saturating_add(everywhere(it)));
    let mut hints: Vec<Hint> = rows
        .into_iter()
        .filter_map(|row| {
            let key = keymap.label(context, row.action)?;
            let width = u16::try_from(key.width() + 1 + row.short.width()).ok()?;
            Some(Hint { action: row.action, key, word: row.short, x: 0, width })
        })
        .collect();
    let help = hints.iter().position(|it| it.action == Action::Help).map(|it| hints.remove(it));
    let reserved = help.as_ref().map_or(0, |it| it.width + GAP);
    let mut x: u16 = 1;
    let mut out = Vec::new();
    for mut hint in hints {
        if width < x.saturating_add(hint.width).saturating_add(reserved) {
            break;
        }
        hint.x = x;
        x += hint.width + GAP;
        out.push(hint);
    }
    if let Some(mut it) = help.filter(|it| x.saturating_add(it.width) <= width) {
        it.x = x;
        out.push(it);
    }
    out
}

/// Draws the line.
pub fn view(shared: &Shared, context: Context, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    for hint in hints(&shared.look.keymap, context, area.width) {
        let x = area.x + hint.x;
        let x = canvas.text(x, area.y, hint.width, &hint.key, theme.style(Role::Key));
        canvas.text(x + 1, area.y, area.width, hint.word, theme.style(Role::KeyLabel));
    }
}

/// Returns the action whose key is drawn at a column of the screen.
pub fn at(shared: &Shared, context: Context, area: Rect, col: u16) -> Option<Action> {
    let col = col.checked_sub(area.x)?;
    let hints = hints(&shared.look.keymap, context, area.width);
    hints.into_iter().find(|it| (it.x..it.x + it.width).contains(&col)).map(|it| it.action)
}
