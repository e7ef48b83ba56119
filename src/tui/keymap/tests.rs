use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn with(keys: &[(&str, &str)]) -> (Keymap, Vec<String>) {
    let keys = keys.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Keymap::with(&keys, &["ctrl-q".to_owned(), "f12".to_owned()])
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeSet::new();
    let mut claimed = BTreeSet::new();
    for (at, row) in TABLE.iter().enumerate() {
        assert_eq!(binding(row.action).name, row.name);
        assert_eq!(row.action as usize, at);
        assert!(names.insert(row.name), "{} twice", row.name);
        assert_eq!(named(row.name), Some(row.action));
        assert!(!row.short.is_empty() && !row.long.is_empty());
        for key in row.keys {
            let parsed = parse(key).unwrap_or_else(|| panic!("{}: `{key}` is no key", row.name));
            assert!(claimed.insert((row.context, show(&parsed))), "{}: {key} twice", row.name);
            assert_eq!(parse(&show(&parsed)), Some(parsed), "{key} is not read as it is shown");
        }
    }
}

#[test]
fn a_plain_configuration_changes_nothing() {
    assert_eq!(with(&[]), (Keymap::default(), Vec::new()));
    assert_eq!(Keymap::with(&BTreeMap::new(), &[]), (Keymap::default(), Vec::new()));
}

#[test]
fn keys_are_shown_as_people_know_them() {
    let shown = |it: &str| parse(it).map(|it| show(&it)).unwrap_or_default();
    for (name, expected) in [
        ("ctrl-p", "Ctrl+P"),
        ("C-p", "Ctrl+P"),
        ("Ctrl+Alt+N", "Ctrl+Alt+N"),
        ("F12", "F12"),
        ("space", "Space"),
        ("ctrl-space", "Ctrl+Space"),
        ("shift-tab", "Shift+Tab"),
        ("shift-a", "A"),
        ("-", "-"),
        ("ctrl--", "Ctrl+-"),
        ("pageup", "PgUp"),
        ("f36", ""),
        ("hyper-x", ""),
        ("", ""),
    ] {
        assert_eq!(shown(name), expected, "{name}");
    }
}

#[test]
fn a_rebound_key_moves() {
    let (map, problems) = with(&[("interrupt", "ctrl-k"), ("theme", "f4")]);
    assert_eq!(problems, [""; 0]);
    let does = |key: &str| parse(key).and_then(|it| map.action(Context::Tasks, &it));
    assert_eq!(does("ctrl-k"), Some(Action::Interrupt));
    assert_eq!(does("ctrl-x"), None);
    assert_eq!(does("f4"), Some(Action::Theme));
    assert_eq!(map.label(Context::Tasks, Action::Interrupt).as_deref(), Some("Ctrl+K"));
}

#[test]
fn an_empty_text_takes_the_keys_away() {
    let (map, problems) = with(&[("kill", "")]);
    assert_eq!(problems, [""; 0]);
    assert_eq!(map.keys(Action::Kill), []);
    assert_eq!(map.action(Context::Tasks, &Key::char('x')), None);
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let (map, problems) = with(&[("atach", "z"), ("kill", "ctrl-"), ("form-close", "q")]);
    assert_eq!(
        problems,
        [
            "`keys.atach`: there is no such action; did you mean `attach`?",
            "`keys.form-close`: `q` is text there; hold Ctrl or Alt with it",
            "`keys.kill`: `ctrl-` is no key; write for example `q`, `ctrl-q` or `f12`",
        ]
    );
    assert_eq!(map, Keymap::default());
}

#[test]
fn of_two_claims_the_persons_own_wins_and_is_told() {
    let (map, problems) = with(&[("describe", "x")]);
    assert_eq!(problems, ["`keys.describe`: x was `kill`, which now lacks it"]);
    assert_eq!(map.action(Context::Tasks, &Key::char('x')), Some(Action::Describe));
    assert_eq!(map.label(Context::Tasks, Action::Kill), None);
    let (map, problems) = with(&[("sort", "n")]);
    assert_eq!(problems, ["n is `sort` in tasks, so `new` lacks it there"]);
    assert_eq!(map.action(Context::Log, &Key::char('n')), Some(Action::LogNext));
    assert_eq!(map.action(Context::Budget, &Key::char('n')), Some(Action::New));
}

#[test]
fn a_session_can_always_be_left() {
    for (detach, wanted) in [(vec!["ctrl-]"], vec!["Ctrl+]"]), (vec!["q"], vec!["Ctrl+Q", "F12"])] {
        let detach: Vec<String> = detach.into_iter().map(str::to_owned).collect();
        let (map, _) = Keymap::with(&BTreeMap::new(), &detach);
        assert_eq!(map.labels(Action::Leave), wanted);
    }
    let taken = [("resync".to_owned(), "ctrl-q f12".to_owned())].into();
    let (map, problems) = Keymap::with(&taken, &["ctrl-q".to_owned()]);
    assert_eq!(map.labels(Action::Leave), ["Ctrl+Q"]);
    assert_eq!(problems, ["`keys.leave`: Ctrl+Q was `resync`, which now lacks it"]);
}

#[test]
fn panels_come_before_everywhere_and_sessions_get_the_rest() {
    let map = Keymap::default();
    assert_eq!(map.action(Context::Log, &Key::char('w')), Some(Action::LogWrap));
    assert_eq!(map.action(Context::Tasks, &Key::char('w')), Some(Action::NextNeeds));
    assert_eq!(map.action(Context::Attached, &Key::char('w')), None);
    let mut key = Key::char('q');
    key.phase = Phase::Release;
    assert_eq!(map.action(Context::Tasks, &key), None);
}

proptest! {
    #[test]
    fn no_configuration_makes_it_panic(name in "\\PC*", text in "\\PC*", detach in "\\PC*") {
        let keys = [(name, text.clone()), ("kill".to_owned(), text)].into();
        let (map, _) = Keymap::with(&keys, &[detach]);
        prop_assert!(!map.keys(Action::Leave).is_empty());
    }
}
