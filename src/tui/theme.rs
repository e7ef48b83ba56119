//! Colours by role. Nothing outside this file names a colour.
//!
//! Only the terminal's own sixteen colours are used, so a theme of the terminal holds here too;
//! `plain` and `NO_COLOR` use none, and everything stays readable by its letters and attributes.

use ratatui::style::{Color, Modifier, Style};

/// What something on the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Text,
    /// Of less weight: units, hints, times.
    Dim,
    Title,
    TitleFocused,
    Border,
    BorderFocused,
    /// The border of a pane that takes every key.
    BorderAttached,
    /// The selected row of the focused panel.
    Selected,
    /// The selected row of another panel.
    SelectedElsewhere,
    Marked,
    NeedsYou,
    Working,
    Idle,
    Done,
    Failed,
    Parked,
    Unreachable,
    Unknown,
    /// A key's name in footer and help.
    Key,
    /// A key's meaning.
    KeyLabel,
    Good,
    Warning,
    Error,
    Money,
    GaugeFull,
    GaugeEmpty,
    GaugeWarning,
    GaugeOver,
    Input,
    InputFocused,
    /// What was searched for.
    Match,
    Added,
    Removed,
    /// Parts of code in a diff; over the style of its line.
    CodeKeyword,
    CodeText,
    CodeNumber,
    CodeComment,
    /// A log line's sorts.
    LogYou,
    LogText,
    LogTool,
    LogOut,
    LogFail,
    LogEvent,
    Popup,
    PopupBorder,
    Link,
    Demo,
    Scrollbar,
}

/// The colours in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Dark,
    Light,
    HighContrast,
    /// None.
    Plain,
}

impl Theme {
    /// Returns the style of a role.
    pub fn style(self, role: Role) -> Style {
        let plain = plain(role);
        if role == Role::Selected {
            // Of one piece, whatever colours its cells had.
            let faint = Modifier::DIM.union(Modifier::UNDERLINED);
            return plain.fg(Color::Reset).bg(Color::Reset).remove_modifier(faint);
        }
        match self {
            Theme::Plain => plain,
            Theme::Dark => plain.patch(coloured(role, &DARK)),
            Theme::Light => plain.patch(coloured(role, &LIGHT)),
            Theme::HighContrast => strong(role),
        }
    }
}

/// The colours that a theme gives to what is alike.
struct Palette {
    dim: Color,
    calm: Color,
    call: Color,
    good: Color,
    bad: Color,
    accent: Color,
    tool: Color,
}

/// For dark backgrounds.
const DARK: Palette = Palette {
    dim: Color::DarkGray,
    calm: Color::Cyan,
    call: Color::Yellow,
    good: Color::Green,
    bad: Color::LightRed,
    accent: Color::LightCyan,
    tool: Color::Magenta,
};

/// For light backgrounds, where yellow and the light colours cannot be read.
const LIGHT: Palette = Palette {
    dim: Color::DarkGray,
    calm: Color::Blue,
    call: Color::Magenta,
    good: Color::Green,
    bad: Color::Red,
    accent: Color::Blue,
    tool: Color::Cyan,
};

/// Returns what a role looks like without any colour.
fn plain(role: Role) -> Style {
    use Role as R;
    let modifier = match role {
        R::Dim | R::GaugeEmpty | R::LogOut | R::Scrollbar | R::Border => Modifier::DIM,
        R::Title
        | R::Key
        | R::NeedsYou
        | R::Warning
        | R::GaugeFull
        | R::BorderFocused
        | R::CodeKeyword => Modifier::BOLD,
        R::TitleFocused | R::Failed | R::LogYou | R::GaugeWarning => {
            Modifier::BOLD.union(Modifier::UNDERLINED)
        }
        R::Error | R::LogFail | R::GaugeOver | R::Demo | R::BorderAttached => {
            Modifier::BOLD.union(Modifier::REVERSED)
        }
        R::Selected | R::Match => Modifier::REVERSED,
        R::SelectedElsewhere | R::InputFocused | R::Link | R::Added => Modifier::UNDERLINED,
        R::Marked | R::Parked | R::LogTool | R::Removed => Modifier::ITALIC,
        R::Unreachable | R::Input | R::CodeComment => Modifier::ITALIC.union(Modifier::DIM),
        _ => Modifier::empty(),
    };
    Style::new().add_modifier(modifier)
}

/// Returns the colour of a role.
fn coloured(role: Role, palette: &Palette) -> Style {
    use Role as R;
    let color = match role {
        R::Border
        | R::Dim
        | R::GaugeEmpty
        | R::LogOut
        | R::Scrollbar
        | R::Idle
        | R::CodeComment => palette.dim,
        R::NeedsYou | R::Warning | R::GaugeWarning | R::Unknown => palette.call,
        R::Done | R::Good | R::GaugeFull | R::Added | R::LogYou => palette.good,
        R::Failed | R::Error | R::LogFail | R::GaugeOver | R::Removed => palette.bad,
        R::BorderFocused | R::TitleFocused | R::Key | R::Link | R::PopupBorder => palette.accent,
        R::Working | R::Money | R::InputFocused | R::LogEvent | R::CodeText | R::CodeNumber => {
            palette.calm
        }
        R::BorderAttached | R::Marked | R::LogTool | R::Demo | R::Parked | R::CodeKeyword => {
            palette.tool
        }
        R::Unreachable => palette.dim,
        _ => return Style::new(),
    };
    // What is dim by its colour would vanish if it were dim by attribute too; and whole lines that
    // are underlined or slanted besides having a colour are hard to read.
    let too_much = match role {
        R::Added | R::Removed => Modifier::DIM.union(Modifier::UNDERLINED).union(Modifier::ITALIC),
        _ => Modifier::DIM,
    };
    Style::new().fg(color).remove_modifier(too_much)
}

/// Returns the style of a role in the fewest and strongest colours: nothing dim, nothing grey.
fn strong(role: Role) -> Style {
    use Role as R;
    let base = plain(role).remove_modifier(Modifier::DIM);
    match role {
        R::NeedsYou | R::Warning | R::GaugeWarning => {
            base.fg(Color::Black).bg(Color::Yellow).remove_modifier(Modifier::REVERSED)
        }
        R::Failed | R::Error | R::GaugeOver | R::LogFail => base.fg(Color::White).bg(Color::Red),
        R::Working | R::Key | R::BorderFocused => base.fg(Color::LightCyan),
        R::Done | R::Good | R::Added => base.fg(Color::LightGreen),
        R::Removed => base.fg(Color::LightRed),
        R::BorderAttached => base.fg(Color::LightMagenta),
        _ => base,
    }
}

impl Theme {
    /// Returns the theme after this one.
    pub fn next(self) -> Theme {
        match self {
            Theme::Dark => Theme::Light,
            Theme::Light => Theme::HighContrast,
            Theme::HighContrast => Theme::Plain,
            Theme::Plain => Theme::Dark,
        }
    }

    /// Returns its name, as `ui.theme` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Theme::Dark => "dark",
            Theme::Light => "light",
            Theme::HighContrast => "high-contrast",
            Theme::Plain => "plain",
        }
    }

    /// Returns the theme of that name; `auto` is decided by what is known of the terminal.
    pub fn named(name: &str, facts: &crate::tui::model::look::Facts) -> Theme {
        match name {
            _ if facts.no_color => Theme::Plain,
            "light" => Theme::Light,
            "high-contrast" => Theme::HighContrast,
            "plain" => Theme::Plain,
            "auto" if facts.light_background => Theme::Light,
            _ => Theme::Dark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Theme; 4] = [Theme::Dark, Theme::Light, Theme::HighContrast, Theme::Plain];

    /// Roles that stand beside each other and mean different things.
    const APART: &[(Role, Role)] = &[
        (Role::Text, Role::Selected),
        (Role::Text, Role::SelectedElsewhere),
        (Role::Selected, Role::SelectedElsewhere),
        (Role::Text, Role::Marked),
        (Role::Text, Role::NeedsYou),
        (Role::Text, Role::Failed),
        (Role::Text, Role::Error),
        (Role::Warning, Role::Error),
        (Role::Title, Role::TitleFocused),
        (Role::Border, Role::BorderFocused),
        (Role::BorderFocused, Role::BorderAttached),
        (Role::Input, Role::InputFocused),
        (Role::Key, Role::KeyLabel),
        (Role::Text, Role::Match),
        (Role::Text, Role::Link),
        (Role::Added, Role::Removed),
        (Role::Text, Role::CodeKeyword),
        (Role::Text, Role::CodeComment),
        (Role::CodeKeyword, Role::CodeComment),
        (Role::GaugeFull, Role::GaugeWarning),
        (Role::GaugeWarning, Role::GaugeOver),
        (Role::LogYou, Role::LogText),
        (Role::LogText, Role::LogTool),
        (Role::LogText, Role::LogFail),
        (Role::Text, Role::Demo),
    ];

    #[test]
    fn what_means_different_things_looks_different_in_every_theme() {
        for theme in ALL {
            for (one, other) in APART {
                let (a, b) = (theme.style(*one), theme.style(*other));
                assert_ne!(a, b, "{}: {one:?} and {other:?}", theme.name());
            }
        }
    }

    #[test]
    fn plain_uses_no_colour_and_the_others_only_sixteen() {
        for (one, other) in APART {
            for role in [*one, *other] {
                let style = Theme::Plain.style(role);
                for color in [style.fg, style.bg].into_iter().flatten() {
                    assert_eq!(color, Color::Reset, "{role:?}");
                }
                for theme in ALL {
                    let style = theme.style(role);
                    for color in [style.fg, style.bg].into_iter().flatten() {
                        assert!(!matches!(color, Color::Rgb(..) | Color::Indexed(_)), "{role:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_color_wins_over_the_configuration() {
        let facts = crate::tui::model::look::Facts { no_color: true, ..Default::default() };
        assert_eq!(Theme::named("light", &facts), Theme::Plain);
    }
}
