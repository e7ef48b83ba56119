//! The list of checkpoints.

use unicode_width::UnicodeWidthStr;

use crate::{
    api::checkpoints::{CheckpointList, CheckpointView},
    cli::{
        paint::Paint,
        view::{count, cut, pad, pad_left, size, widest},
        when::day_and_clock,
    },
    stdx::{text::one_line, time::Timestamp},
};

/// The narrowest the label gets before other columns go, in columns.
const LABEL_MIN: usize = 8;

/// The widest a label gets where lines are not cut, in columns.
const LABEL_MAX: usize = 60;

/// Columns between two fields.
const GAP: usize = 2;

/// Returns the table and how much of the disk all checkpoints take.
pub fn render(list: &CheckpointList, now: Timestamp, width: Option<usize>, paint: Paint) -> String {
    if list.checkpoints.is_empty() {
        return "No checkpoints.".to_owned();
    }
    let sum = format!(
        "{} shown; {} kept on this machine in all",
        count(list.checkpoints.len() as u64, "checkpoint"),
        size(list.store_bytes)
    );
    format!("{}\n{}", table(&list.checkpoints, now, width, paint), paint.dim(&sum))
}

/// Returns one line a checkpoint.
pub fn table(
    checkpoints: &[CheckpointView],
    now: Timestamp,
    width: Option<usize>,
    paint: Paint,
) -> String {
    let mut columns = vec![
        Column::new("ID", checkpoints, |it| one_line(&it.id, 40)),
        Column::new("SESSION", checkpoints, |it| one_line(&it.task, 40)),
        Column::new("TRIGGER", checkpoints, |it| it.trigger.to_string()),
        Column::new("CREATED", checkpoints, |it| day_and_clock(it.at, now)),
        Column::new("CHANGES", checkpoints, changes),
        Column::new("SIZE", checkpoints, |it| size(it.bytes)).right(),
    ];
    let labels: Vec<String> = checkpoints.iter().map(label).collect();
    let label_width = widest(labels.iter().cloned(), 0, LABEL_MAX);
    let taken = |columns: &[Column]| columns.iter().map(|it| it.width + GAP).sum::<usize>() + 2;
    if let Some(width) = width {
        // What is exact in `show` goes first.
        let least = if label_width == 0 { 0 } else { GAP + label_width.min(LABEL_MIN) };
        while 4 < columns.len() && width < taken(&columns) + least {
            columns.pop();
        }
    }
    let room = width.map_or(LABEL_MAX, |it| it.saturating_sub(taken(&columns) + GAP));
    let head: Vec<String> = columns.iter().map(|it| it.padded(it.name)).collect();
    let head_label = if label_width == 0 { "" } else { "LABEL" };
    let mut lines = vec![paint.dim(format!("    {}  {head_label}", head.join("  ")).trim_end())];
    for (at, it) in checkpoints.iter().enumerate() {
        let fields: Vec<String> =
            columns.iter().map(|column| column.padded(&column.values[at])).collect();
        let label = cut(&labels[at], room.max(LABEL_MIN));
        let line = format!("{}  {}  {label}", marks(it, paint), fields.join("  "));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// A column of the table.
struct Column {
    name: &'static str,
    values: Vec<String>,
    width: usize,
    right: bool,
}

impl Column {
    fn new(
        name: &'static str,
        checkpoints: &[CheckpointView],
        value: impl Fn(&CheckpointView) -> String,
    ) -> Column {
        let values: Vec<String> = checkpoints.iter().map(value).collect();
        let width = widest(values.iter().cloned(), name.width(), 40);
        Column { name, values, width, right: false }
    }

    fn right(self) -> Column {
        Column { right: true, ..self }
    }

    fn padded(&self, text: &str) -> String {
        if self.right { pad_left(text, self.width) } else { pad(text, self.width) }
    }
}

/// Returns the two marks before a line: whether it can be relied on, and whether it is pinned.
fn marks(it: &CheckpointView, paint: Paint) -> String {
    let first = match (&it.damage, it.stored_bytes) {
        (Some(_), _) => paint.red("!"),
        (None, None) => paint.yellow("…"),
        (None, Some(_)) => " ".to_owned(),
    };
    format!("{first}{}", if it.pinned { "*" } else { " " })
}

fn changes(it: &CheckpointView) -> String {
    let change = &it.change;
    match (change.added + change.modified + change.deleted, it.parent.is_some()) {
        (_, false) => "first".to_owned(),
        (0, true) => "none".to_owned(),
        (_, true) => format!("+{} -{}", change.lines_added, change.lines_removed),
    }
}

fn label(it: &CheckpointView) -> String {
    it.label.as_deref().map(|it| one_line(it, 400)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::checkpoint::tests::{NOON, no_clock, sample},
        domain::checkpoint::Trigger,
    };

    const PLAIN: Paint = Paint { on: false };

    fn list() -> CheckpointList {
        let first = CheckpointView {
            id: "cp-aaaa2345".into(),
            parent: None,
            trigger: Trigger::BeforeRestore,
            pinned: true,
            damage: Some("gone".into()),
            ..sample()
        };
        let named = CheckpointView {
            label: Some("tests green and everything else as well".into()),
            stored_bytes: None,
            trigger: Trigger::Manual,
            ..sample()
        };
        let checkpoints = vec![named, sample(), first];
        CheckpointList { checkpoints, store_bytes: 812 << 20 }
    }

    #[test]
    fn a_list_has_a_line_for_each_and_the_sum() {
        let shown = render(&list(), NOON, Some(100), PLAIN);
        insta::assert_snapshot!(format!("|\n{}", no_clock(&shown)), @r"
        |
            ID           SESSION        TRIGGER         CREATED   CHANGES     SIZE  LABEL
        …   cp-abcd2345  task-abcd2345  manual          hh:mm:ss  +86 -14  2.1 MiB  tests green and everyth…
            cp-abcd2345  task-abcd2345  turn            hh:mm:ss  +86 -14  2.1 MiB
        !*  cp-aaaa2345  task-abcd2345  before-restore  hh:mm:ss  first    2.1 MiB
        3 checkpoints shown; 812 MiB kept on this machine in all
        ");
        let empty = CheckpointList::default();
        assert_eq!(render(&empty, NOON, None, PLAIN), "No checkpoints.");
    }

    #[test]
    fn a_narrow_terminal_gets_what_matters() {
        for width in 60..120 {
            let later = |days: i64| Timestamp(NOON.0 + days * 86_400_000);
            for now in [NOON, later(2), later(400)] {
                let shown = table(&list().checkpoints, now, Some(width), PLAIN);
                let widest = shown.lines().map(UnicodeWidthStr::width).max().unwrap();
                assert!(widest <= width.max(76), "{width}: {widest}\n{shown}");
            }
        }
        let shown = table(&list().checkpoints, Timestamp(NOON.0 + 172_800_000), Some(80), PLAIN);
        insta::assert_snapshot!(format!("|\n{}", no_clock(&shown)), @r"
        |
            ID           SESSION        TRIGGER         CREATED      CHANGES  LABEL
        …   cp-abcd2345  task-abcd2345  manual          DATE hh:mm  +86 -14  tests gre…
            cp-abcd2345  task-abcd2345  turn            DATE hh:mm  +86 -14
        !*  cp-aaaa2345  task-abcd2345  before-restore  DATE hh:mm  first
        ");
    }

    #[test]
    fn a_hostile_label_stays_on_its_line() {
        let odd = CheckpointView {
            id: "\x1b[2J\n".into(),
            task: "\u{202e}".into(),
            label: Some("\n\n\x07".into()),
            ..sample()
        };
        let shown = table(&[odd], NOON, Some(80), PLAIN);
        assert_eq!(shown.lines().count(), 2);
        assert!(!shown.contains(['\x1b', '\x07', '\u{202e}']), "{shown:?}");
    }
}
