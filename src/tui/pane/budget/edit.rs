//! A ceiling that is typed in its own row.

use ratatui::layout::Rect;

use crate::{
    tui::{
        canvas::Canvas,
        model::{Out, Shared},
        money::set::{Target, Wish, nudged},
        theme::{Role, Theme},
        widget::input::Input,
        words,
    },
    vt::input::{Code, Key, Mods, Phase},
};

/// Columns of what is typed.
const FIELD: u16 = 12;

/// A ceiling that is typed.
#[derive(Debug)]
pub struct Edit {
    pub target: Target,
    input: Input,
    problem: Option<String>,
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is typed still.
    Goes,
    /// It was saved or left.
    Over,
}

impl Edit {
    /// Returns what holds now, to be changed or to be typed over: whoever types 25 means 25, not
    /// 17.5025.
    pub fn begin(target: Target, shared: &Shared) -> Edit {
        let text = target.now(shared).map(words::money).unwrap_or_default();
        Edit { target, input: Input::selected(text), problem: None }
    }

    /// Makes it a tenth higher or lower; tells whether there is an amount at all.
    pub fn nudge(&mut self, more: bool) -> bool {
        let Ok(Wish::At(usd)) = Wish::parse(self.input.text(), &self.target) else { return false };
        self.input = Input::selected(format!("{:.2}", nudged(usd, more)));
        self.problem = None;
        true
    }

    /// Takes a key: Enter saves, Esc leaves it as it was.
    pub fn key(&mut self, shared: &Shared, key: &Key, out: &mut Out) -> Outcome {
        if key.phase == Phase::Release {
            return Outcome::Goes;
        }
        match key.code {
            Code::Esc => return Outcome::Over,
            Code::Char('c') if key.mods == Mods::CTRL => return Outcome::Over,
            Code::Char(c @ ('>' | '<')) => {
                self.nudge(c == '>');
            }
            Code::Enter => match Wish::parse(self.input.text(), &self.target) {
                Ok(wish) => {
                    self.target.set(wish, shared, out);
                    return Outcome::Over;
                }
                Err(why) => self.problem = Some(why),
            },
            _ => {
                self.problem = None;
                self.input.key(key);
            }
        }
        Outcome::Goes
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        self.problem = None;
        self.input.insert(text);
    }

    /// Returns what stands beside it: what is wrong, what it would do at once, or the keys.
    fn says(&self, shared: &Shared) -> (Role, String) {
        if let Some(why) = &self.problem {
            return (Role::Error, format!("! {why}"));
        }
        let spent = self.target.spent(shared, shared.now);
        match (Wish::parse(self.input.text(), &self.target), spent) {
            (Ok(Wish::At(usd)), Some(spent)) if usd <= spent => {
                let text = format!("! ${} is spent already", words::money(spent));
                (Role::Warning, text)
            }
            _ => (Role::Key, "Enter saves  Esc leaves  > < 10%  none".to_owned()),
        }
    }

    /// Draws it on one row, from column `x` on.
    pub fn view(&self, at: Rect, shared: &Shared, theme: Theme, canvas: &mut Canvas) {
        let x = canvas.text(at.x, at.y, at.width, "$", theme.style(Role::Key));
        let left = at.right().saturating_sub(x);
        let field = Rect { x, width: FIELD.min(left), ..at };
        self.input.view(field, true, theme, canvas);
        let (role, text) = self.says(shared);
        let x = field.right().saturating_add(1);
        canvas.fit(x, at.y, at.right().saturating_sub(x), &text, theme.style(role));
    }
}
