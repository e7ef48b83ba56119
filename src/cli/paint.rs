//! Colours: the sixteen every terminal has, and none where they were not asked for.

/// Puts colours on text, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Whether it does.
    pub on: bool,
}

impl Paint {
    /// Failures.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What is done.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What waits for a person.
    pub fn yellow(self, text: &str) -> String {
        self.with("1;33", text)
    }

    /// What works.
    pub fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }

    /// Headings.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
