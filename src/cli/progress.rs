//! What `--sync` shows while it waits.

use unicode_width::UnicodeWidthStr;

use crate::{
    api::view::TaskView,
    cli::{
        out::Out,
        paint::Paint,
        view::{FIELD_MAX, cut, letter, telling, word},
    },
    stdx::{
        text::one_line,
        time::{Timestamp, short},
    },
};

/// One line on stderr: redrawn in place on a terminal, printed on each change elsewhere.
pub struct Progress {
    out: Out,
    /// What was printed last, so that staying the same prints nothing.
    last: String,
    /// Whether the line stands there now, without its end.
    standing: bool,
    /// The questions already told, by id.
    told: Vec<String>,
}

impl Progress {
    /// Creates a line that shows nothing yet.
    pub fn new(out: Out) -> Progress {
        Progress { out, last: String::new(), standing: false, told: Vec::new() }
    }

    /// Shows how the task is.
    pub fn show(&mut self, task: &TaskView, now: Timestamp) {
        if self.out.json {
            return;
        }
        let asks: Vec<String> = task.asks.iter().map(|it| it.id.clone()).collect();
        if asks.iter().any(|it| !self.told.contains(it)) {
            self.say(&needs_you(task, self.out.paint_err));
        }
        self.told = asks;
        if self.out.tty_err {
            // The last column stays free: a terminal may wrap as soon as it is filled.
            let width = self.out.line_width().saturating_sub(1);
            self.redraw(&line(task, now, width));
        } else {
            let text = format!("{} {}", word(task), telling(task));
            if text != self.last {
                self.out.note(&line(task, now, FIELD_MAX));
                self.last = text;
            }
        }
    }

    /// Prints a line that stays.
    pub fn say(&mut self, text: &str) {
        self.clear();
        self.out.note(text);
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.standing {
            self.out.note_bytes(b"\r\x1b[K");
            self.standing = false;
        }
        if self.out.tty_err {
            self.last.clear();
        }
    }

    fn redraw(&mut self, text: &str) {
        if text == self.last && self.standing {
            return;
        }
        self.out.note_bytes(format!("\r{text}\x1b[K").as_bytes());
        self.last = text.to_owned();
        self.standing = true;
    }
}

/// Returns the line: how long, what, and the most telling thing, within `width` columns.
pub fn line(task: &TaskView, now: Timestamp, width: usize) -> String {
    let head = format!("{:>5} {} {}", short(now.since(task.created_at)), letter(task), word(task));
    let rest = width.saturating_sub(head.width() + 2);
    cut(&format!("{head}  {}", cut(&telling(task), rest)), width)
}

/// Returns the loud words for a task that waits for a person.
pub fn needs_you(task: &TaskView, paint: Paint) -> String {
    let id = one_line(&task.id, 40);
    let mut text = String::new();
    for ask in &task.asks {
        let what = match ask.kind.as_str() {
            "question" => "asks",
            "plan" => "asks to carry out its plan",
            _ => "needs permission",
        };
        let what = format!("! {id} {what}: {} {}", ask.tool, ask.summary);
        text.push_str(&paint.yellow(&one_line(&what, FIELD_MAX)));
        text.push('\n');
        for (at, option) in ask.options.iter().enumerate() {
            text.push_str(&format!("    {}) {}\n", at + 1, one_line(option, FIELD_MAX)));
        }
    }
    let words = match task.asks.first() {
        Some(it) if !it.options.is_empty() => "<number>",
        _ => "yes|no",
    };
    text.push_str(&format!("  answer: parhelia session answer {id} {words}\n"));
    text.push_str(&format!("  or:     parhelia attach {id}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::tests::{asking, sample};

    #[test]
    fn the_line_fits() {
        assert_eq!(line(&sample(), Timestamp(75_000), 80), "  15s > working  Bash cargo test");
        assert_eq!(line(&sample(), Timestamp(75_000), 22), "  15s > working  Bash…");
    }

    #[test]
    fn a_question_is_loud_and_says_how_to_answer() {
        insta::assert_snapshot!(needs_you(&asking(), Paint { on: false }), @r"
        ! task-abcd2345 needs permission: Bash rm -rf build/
          answer: parhelia session answer task-abcd2345 yes|no
          or:     parhelia attach task-abcd2345
        ");
    }
}
