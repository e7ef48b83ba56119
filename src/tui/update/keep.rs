//! What is kept from one run to the next: the sizes of panels, sort and grouping.

use serde::{Deserialize, Serialize};

use crate::tui::{
    effect::{Ask, Effect, File},
    layout::Prefs,
    model::{Call, Model, Purpose},
    msg::RequestId,
    pane::tasks,
    sort::{Group, Sort},
};

/// What is kept. What a later version does not know any more is left out, what it adds has a
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    sizes: Prefs,
    sort: Sort,
    reversed: bool,
    group: Group,
}

fn now(model: &Model) -> Kept {
    let (sort, reversed, group) = tasks::order(&model.tasks);
    Kept { sizes: model.place.prefs, sort, reversed, group }
}

/// Takes what an earlier run kept; a text that means nothing changes nothing.
pub fn recall(model: &mut Model, text: &str) {
    let Ok(kept) = serde_json::from_str::<Kept>(text) else { return };
    model.place.prefs = kept.sizes.within_bounds();
    tasks::set_order(&mut model.tasks, kept.sort, kept.reversed, kept.group);
    model.kept = now(model);
}

/// Writes down what changed, if anything did.
pub fn follow(model: &mut Model) -> Option<Effect> {
    let kept = now(model);
    if kept == model.kept {
        return None;
    }
    let text = serde_json::to_string(&kept).ok()?;
    model.kept = kept;
    let id = RequestId(model.calls.next);
    model.calls.next += 1;
    let (label, since) = ("keep sizes and order".to_owned(), model.shared.now);
    let call = Call { label, since, purpose: Purpose::Quiet, undo: None };
    model.calls.pending.insert(id, call);
    Some(Effect::Ask { id, ask: Ask::WriteFile { file: File::Layout, text } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{fleet, press, with_tasks};

    fn written(effects: Vec<Effect>) -> Vec<String> {
        let text = |it| match it {
            Effect::Ask { ask: Ask::WriteFile { file: File::Layout, text }, .. } => Some(text),
            _ => None,
        };
        effects.into_iter().filter_map(text).collect()
    }

    #[test]
    fn sizes_come_back_in_the_next_run() {
        let mut first = with_tasks(120, 36, fleet());
        assert!(written(press(&mut first, &["j"])).is_empty());
        let text = written(press(&mut first, &["+"])).remove(0);
        let mut next = with_tasks(120, 36, fleet());
        recall(&mut next, &text);
        assert_eq!(next.place.prefs, first.place.prefs);
        assert_ne!(next.place.prefs, Prefs::default());
        assert!(written(press(&mut next, &["j"])).is_empty());
    }

    #[test]
    fn nonsense_is_not_recalled() {
        let mut model = with_tasks(120, 36, fleet());
        recall(&mut model, "{\"sizes\":");
        recall(&mut model, r#"{"sizes":{"wide_left":9000},"later":1}"#);
        assert_eq!(model.place.prefs.wide_left, 85);
    }
}
