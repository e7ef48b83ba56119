//! The whole screen.

use crate::tui::fixture::{fleet, screen, with_tasks};

#[test]
fn the_whole_screen_at_the_four_sizes() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let model = with_tasks(cols, rows, fleet());
        insta::assert_snapshot!(format!("screen_{cols}x{rows}"), screen(&model));
    }
}
