//! How the form looks: the prompt above, groups of fields below it, then what would happen.

use ratatui::layout::Rect;

use crate::{
    api::{budget::CeilingView, types::DryRun},
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        layout,
        model::Shared,
        money,
        popup::form::{
            Field, Model, Preview, complete,
            fields::{Fields, Value},
            over,
        },
        theme::{Role, Theme},
        view::bars::round,
        widget::{
            frame,
            lines::{Break, wrap},
        },
        words,
    },
};

/// The largest size it has; the smallest screen gets all of it.
const SIZE: (u16, u16) = (120, 40);

/// Rows for what would happen, at most.
const PREVIEW: u16 = 6;

/// The fewest rows of the prompt, where there is room for them.
const PROMPT_LEAST: u16 = 3;

/// The rows of fields, in the order of the keys.
const ROWS: [&[Field]; 7] = [
    &[Field::Type, Field::Where],
    &[Field::Gpu, Field::Memory, Field::Cpu],
    &[Field::Workspace],
    &[Field::Isolation, Field::Dirty],
    &[Field::Model, Field::Permission],
    &[Field::Ceiling, Field::Timeout, Field::Interactive],
    &[Field::Name],
];

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub outer: Rect,
    pub prompt: Rect,
    /// Label and value of each field that is drawn.
    fields: Vec<(Field, Rect, Rect)>,
    /// What is wrong, or what can be chosen.
    help: Rect,
    preview: Rect,
    keys: Rect,
}

impl Places {
    /// Returns the field at a place, and where its value is.
    pub fn at(&self, col: u16, row: u16) -> Option<(Field, Rect)> {
        let at = ratatui::layout::Position { x: col, y: row };
        if self.prompt.contains(at) {
            return Some((Field::Prompt, self.prompt));
        }
        let hit = |it: &&(Field, Rect, Rect)| it.1.contains(at) || it.2.contains(at);
        self.fields.iter().find(hit).map(|it| (it.0, it.2))
    }
}

/// Returns where everything is; the focused field is always there.
pub fn places(model: &Model, area: Rect) -> Places {
    let (width, height) = (SIZE.0.min(area.width), SIZE.1.min(area.height));
    let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
    let outer = Rect { x, y, width, height };
    let inside = layout::inside(outer);
    let mut left = inside.height;
    let mut take = |rows: u16| {
        let taken = rows.min(left);
        left -= taken;
        taken
    };
    // In the order of what must be seen: the focused field, keys, problems, the others, preview.
    let focus = ROWS.iter().position(|it| it.contains(&model.focus));
    let least = take(if focus.is_none() { PROMPT_LEAST } else { 1 });
    let keys = take(1);
    let help = take(1);
    let rows = take(7 - u16::from(focus.is_some())) + u16::from(focus.is_some() && 0 < least);
    let mut prompt = if focus.is_none() { least } else { take(PROMPT_LEAST) };
    let preview = take(PREVIEW);
    prompt += left;
    let at = |y: u16, height: u16| Rect { y, height, ..inside };
    let mut y = inside.y;
    let prompt = at(y, prompt);
    y += prompt.height;
    let first = focus.map_or(0, |it| (it + 1).saturating_sub(usize::from(rows)));
    let mut fields = Vec::new();
    for group in ROWS.iter().skip(first).take(usize::from(rows)) {
        row(group, at(y, 1), &mut fields);
        y += 1;
    }
    let help = at(y, help);
    y += help.height;
    let preview = at(y, preview);
    y += preview.height;
    Places { outer, prompt, fields, help, preview, keys: at(y, keys) }
}

fn row(group: &[Field], area: Rect, fields: &mut Vec<(Field, Rect, Rect)>) {
    let share = area.width / u16::try_from(group.len()).unwrap_or(1).max(1);
    for (x, field) in (area.x..).step_by(usize::from(share.max(1))).zip(group) {
        // A column between neighbours; the first labels stand under each other.
        let width = share.saturating_sub(1);
        let label = u16::try_from(field.label().len() + 1).unwrap_or(u16::MAX);
        let label = if x == area.x { label.max(12) } else { label }.min(width);
        fields.push((
            *field,
            Rect { x, width: label, ..area },
            Rect { x: x + label, width: width - label, ..area },
        ));
    }
}

/// Says the editor what size it is drawn at.
pub fn fit(model: &mut Model, shared: &Shared) {
    let (cols, rows) = shared.size;
    let prompt = places(model, Rect::new(0, 0, cols, rows)).prompt;
    model.fields.prompt.fit(prompt.width, prompt.height);
}

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let places = places(model, area);
    let title = title(model);
    frame::popup(canvas, area, (places.outer.width, places.outer.height), &title, theme);
    let focused = model.focus == Field::Prompt && model.over.is_none();
    if 0 < places.prompt.height {
        model.fields.prompt.view(places.prompt, focused, theme, canvas);
        if model.fields.prompt.is_empty() {
            let (text, at) = ("What shall Claude do?", places.prompt);
            let x = at.x + 1;
            canvas.fit(x, at.y, at.width.saturating_sub(1), text, theme.style(Role::Dim));
        }
    }
    for (field, label, value) in &places.fields {
        let role = if model.fields.problem(*field).is_some() { Role::Error } else { Role::Dim };
        let role = if *field == model.focus { Role::TitleFocused } else { role };
        canvas.fit(label.x, label.y, label.width, field.label(), theme.style(role));
        view_value(model, *field, *value, theme, canvas);
    }
    view_help(model, places.help, theme, canvas);
    view_preview(model, shared, places.preview, canvas);
    let keys = "Ctrl+S submit  ^O attach  ^Y dry run  ^G editor  ^R history  ^T templates  Esc";
    if 0 < places.keys.height {
        canvas.fit(places.keys.x, places.keys.y, places.keys.width, keys, theme.style(Role::Key));
    }
    if let Some(it) = &model.over {
        canvas.cursor = None;
        over::view(it, model, shared, area, canvas);
    }
}

fn title(model: &Model) -> String {
    let prompt = &model.fields.prompt;
    let size = match (prompt.line_count(), prompt.bytes()) {
        (0 | 1, _) => String::new(),
        (lines, bytes) => format!(" — {lines} lines, {bytes} bytes"),
    };
    let state = if model.submitting.is_some() { " — submitting" } else { "" };
    format!(" New task{size}{state} ")
}

fn view_value(model: &Model, field: Field, area: Rect, theme: Theme, canvas: &mut Canvas) {
    let focused = field == model.focus;
    let found = model.fields.values.iter().find(|it| it.0 == field);
    match found.map(|it| &it.1) {
        Some(Value::Line(input)) => {
            input.view(area, focused && model.over.is_none(), theme, canvas);
            let ghost = match field {
                Field::Workspace if focused && input.at_end() => complete::ghost(model),
                _ if input.text().is_empty() => format!(" {}", field.empty()),
                _ => String::new(),
            };
            let used = unicode_width::UnicodeWidthStr::width(input.text());
            let used = u16::try_from(used).unwrap_or(u16::MAX);
            if used < area.width {
                let room = area.width - used;
                canvas.fit(area.x + used, area.y, room, &ghost, theme.style(Role::Dim));
            }
        }
        Some(value @ Value::Choice { .. }) => {
            let role = if focused { Role::Selected } else { Role::Text };
            let text = format!("<{}>", value.text());
            canvas.fit(area.x, area.y, area.width, &text, theme.style(role));
        }
        None => (),
    }
}

/// Says what is wrong, else what the focused field can be.
fn view_help(model: &Model, area: Rect, theme: Theme, canvas: &mut Canvas) {
    if area.is_empty() {
        return;
    }
    let problem = match &model.problem {
        Some((Some(field), why)) => Some(format!("{}: {why}", field.label())),
        Some((None, why)) => Some(why.clone()),
        // Nothing is wrong yet with a prompt that was not begun.
        None if model.touched => Field::ALL.iter().find_map(|it| {
            let why = model.fields.problem(*it)?;
            Some(format!("{}: {why}", it.label()))
        }),
        None => None,
    };
    let (text, role) = match problem {
        Some(it) => (format!("! {it}"), Role::Error),
        None => (help(model), Role::Dim),
    };
    canvas.fit(area.x, area.y, area.width, &text, theme.style(role));
}

fn help(model: &Model) -> String {
    if model.focus == Field::Prompt {
        return "Enter new line   Tab next field   Ctrl+Z undo   Alt+Z redo".to_owned();
    }
    if model.focus == Field::Workspace {
        let names = complete::candidates(model);
        return match names.is_empty() {
            true => "the directory it starts from; Tab completes".to_owned(),
            false => format!("Tab completes: {}", names[..names.len().min(12)].join(" ")),
        };
    }
    let found = model.fields.values.iter().find(|it| it.0 == model.focus);
    match found.map(|it| &it.1) {
        Some(Value::Choice { options, .. }) => format!("left, right: {}", options.join(" ")),
        _ => format!("empty: {}", model.focus.empty()),
    }
}

/// Says what would happen and what it may cost.
fn view_preview(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    if area.is_empty() {
        return;
    }
    let theme = shared.look.theme;
    let mut lines: Vec<(Role, String)> = Vec::new();
    match &model.preview {
        Preview::Nothing => lines.push((Role::Dim, "what it would do stands here".to_owned())),
        Preview::Asked => lines.push((Role::Dim, "asking what it would do".to_owned())),
        Preview::Not(why) => lines.push((Role::Error, format!("refused: {why}"))),
        Preview::Is(plan) => lines = preview(plan, &model.fields, (shared, area.width)),
    }
    for (y, (role, text)) in (area.y..area.bottom()).zip(&lines) {
        canvas.fit(area.x, y, area.width, text, theme.style(*role));
    }
}

/// Says what a dry run found: what stands in the way first, then what it may cost.
fn preview(plan: &DryRun, fields: &Fields, (shared, width): (&Shared, u16)) -> Vec<(Role, String)> {
    let price = words::money(plan.price_per_hour_usd);
    let text = format!("-> {}  ${price}/h, model cost on top", plan.target);
    let mut lines = vec![(Role::Money, text)];
    if let Some(refused) = &plan.estimate.refused {
        let text = format!("! {}", one_line(refused, 400));
        let parts = wrap(&text, width, Break::Blanks);
        lines.extend(parts.into_iter().map(|it| (Role::Error, text[it].to_owned())));
    }
    lines.extend(plan.waits.iter().map(|it| (Role::Warning, format!("waits: {it}"))));
    if !plan.estimate.text.is_empty() {
        let text = one_line(&plan.estimate.text, 300);
        let reserve = match plan.estimate.reserve_usd {
            it if it <= 0.0 => String::new(),
            it => format!("; reserves ${}", words::money(it)),
        };
        lines.push((Role::Text, format!("   {text}{reserve}")));
    }
    lines.push((Role::Text, format!("   {}", ceilings(plan, fields, shared))));
    lines.push((Role::Dim, format!("   in {}", plan.workspace)));
    lines.extend(plan.notes.iter().map(|it| (Role::Dim, format!("   {it}"))));
    lines
}

/// Says which ceilings it counts against, and what is left under each.
fn ceilings(plan: &DryRun, fields: &Fields, shared: &Shared) -> String {
    let own = match fields.text(Field::Ceiling).trim_start_matches('$').parse::<f64>() {
        Ok(it) => format!("at most ${}", words::money(it)),
        Err(_) => "no ceiling of its own".to_owned(),
    };
    let Some(budget) = &shared.replica.budget else { return own };
    // Of hosts only the one it goes to.
    let counts = |it: &&CeilingView| {
        it.host.as_deref().is_none_or(|host| plan.target.split(' ').next() == Some(host))
    };
    let mut parts = vec![own];
    for it in budget.ceilings.iter().filter(counts) {
        let (Some(limit), Some(left)) = (it.ceiling_usd, it.remaining_usd) else { continue };
        let (name, left) = (one_line(money::name(it), 20), words::money(left));
        parts.push(format!("{name} ${left} left of ${}", round(limit)));
    }
    parts.join("; ")
}
