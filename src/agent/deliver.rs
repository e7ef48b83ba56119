//! Typing into a session: never blindly, never without looking at what came of it.
//!
//! The only asynchronous part of this layer. It looks at the screen a few times a second while a
//! delivery is under way, each with a deadline, and never otherwise.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    agent::{
        prompt::{Meaning, essence, meaning, without_escapes},
        screen::{Input, input},
    },
    domain::event::Delivery,
    shell::ShellError,
};

/// How often the screen is looked at while something is awaited. Claude shows a paste, an Enter
/// and an Escape within 0.12 s (measured).
const LOOK_EVERY: Duration = Duration::from_millis(80);

/// How long the input box may take to be there. Claude redraws it as a whole.
const BOX_WAIT: Duration = Duration::from_secs(3);

/// How long a paste may take to show, for a short text; [`paste_wait`] adds to it for a long one.
const PASTE_WAIT: Duration = Duration::from_secs(8);

/// How long the box may take to become empty after Enter.
const ENTER_WAIT: Duration = Duration::from_secs(4);

/// How long an interrupted turn may take to give the input box back.
const ESCAPE_WAIT: Duration = Duration::from_secs(3);

/// How often the box is cleared before giving up: each time deletes a line or joins two.
const CLEAR_MAX: usize = 60;

/// What a session's terminal can be asked to do.
#[async_trait]
pub trait Screen: Send + Sync {
    /// Returns the visible screen as `tmux capture-pane -p -e` gives it.
    async fn capture(&self, session: &str) -> Result<String, ShellError>;

    /// Pastes `text`, bracketed, newlines kept (`paste-buffer -p -r -d`).
    async fn paste(&self, session: &str, text: &[u8]) -> Result<(), ShellError>;

    /// Presses keys by their tmux names.
    async fn send_keys(&self, session: &str, keys: &[&str]) -> Result<(), ShellError>;
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// [`Delivery::Typed`] at best: only the UserPromptSubmit hook can say that a prompt was
    /// submitted. For [`interrupt`], [`Delivery::Submitted`] when the box is back.
    pub outcome: Delivery,
    /// Why it is no better, or nothing.
    pub reason: String,
}

impl Delivered {
    fn not(reason: impl Into<String>) -> Delivered {
        Delivered { outcome: Delivery::NotDelivered, reason: reason.into() }
    }

    fn typed(reason: impl Into<String>) -> Delivered {
        Delivered { outcome: Delivery::Typed, reason: reason.into() }
    }
}

/// Types a prompt and presses Enter: only into an empty input box, and Enter only once the box
/// shows the text.
///
/// `Typed` with no reason means that the box took it. The caller then waits for UserPromptSubmit
/// and compares with [`crate::agent::prompt::confirms`]; a command (`/…`) is confirmed by nothing.
///
/// # Errors
///
/// [`ShellError`] if the host did not answer; what was typed by then stays in the box.
pub async fn type_prompt(
    screen: &dyn Screen,
    session: &str,
    text: &str,
) -> Result<Delivered, ShellError> {
    match meaning(text) {
        Meaning::Prompt | Meaning::Command => (),
        Meaning::Shell => {
            return Ok(Delivered::not("a text that begins with `!` would run in a shell, unasked"));
        }
        Meaning::Quit => return Ok(Delivered::not("these words end the session; stop it instead")),
        Meaning::Nothing => return Ok(Delivered::not("there is nothing to send")),
    }
    match look_until(screen, session, BOX_WAIT, |it| *it != Input::NotFound).await? {
        Input::Empty => (),
        Input::Draft(_) => return Ok(Delivered::not("the input box holds someone's draft")),
        Input::Dialog(it) => {
            return Ok(Delivered::not(format!("a dialog is open: {}", it.excerpt)));
        }
        Input::NotFound => return Ok(Delivered::not("the screen shows no input box")),
    }
    // Escapes would be dropped in part, and the box would show something else.
    let text = &without_escapes(text);
    screen.paste(session, text.as_bytes()).await?;
    let shown = |it: &Input| matches!(it, Input::Draft(draft) if shows(draft, text));
    match look_until(screen, session, paste_wait(text), shown).await? {
        Input::Draft(draft) if shows(&draft, text) => (),
        Input::Draft(_) => {
            // Someone types too, or Claude made something else of it: Enter would send that.
            return Ok(Delivered::typed("the input box shows another text; Enter was not pressed"));
        }
        Input::Dialog(_) => return Ok(Delivered::not("a dialog opened while it was typed")),
        Input::Empty | Input::NotFound => {
            return Ok(Delivered::not("the input box did not take the text"));
        }
    }
    // The second Enter is for a list of completions, which takes the first.
    for _ in 0..2 {
        screen.send_keys(session, &["Enter"]).await?;
        let left = |it: &Input| !matches!(it, Input::Draft(draft) if shows(draft, text));
        if left(&look_until(screen, session, ENTER_WAIT / 2, left).await?) {
            return Ok(Delivered::typed(""));
        }
    }
    Ok(Delivered::typed("it stands in the input box, and Enter does not send it"))
}

/// Interrupts the turn with Escape. If Claude puts the prompt back into the box, which it does
/// when nothing was answered yet, the box is cleared again, so that the next prompt is not
/// appended to it. A draft that stood there before is left alone.
///
/// Messages queued behind the turn are sent by Claude at once, so it may go on working.
///
/// # Errors
///
/// [`ShellError`] if the host did not answer.
pub async fn interrupt(screen: &dyn Screen, session: &str) -> Result<Delivered, ShellError> {
    let before = look_until(screen, session, BOX_WAIT, |it| *it != Input::NotFound).await?;
    match &before {
        Input::NotFound => return Ok(Delivered::not("the screen shows no input box")),
        // Escape means "leave" in most of them.
        Input::Dialog(it) if !it.hooked => {
            return Ok(Delivered::not(format!("a dialog is open: {}", it.excerpt)));
        }
        Input::Dialog(_) | Input::Empty | Input::Draft(_) => (),
    }
    screen.send_keys(session, &["Escape"]).await?;
    // Long enough for the prompt to be put back.
    tokio::time::sleep(3 * LOOK_EVERY).await;
    let is_box = |it: &Input| matches!(it, Input::Empty | Input::Draft(_));
    let after = look_until(screen, session, ESCAPE_WAIT, is_box).await?;
    if !is_box(&after) {
        return Ok(Delivered::typed("Escape was pressed, and the input box did not come back"));
    }
    if before == Input::Empty && matches!(after, Input::Draft(_)) {
        return clear(screen, session).await;
    }
    Ok(Delivered { outcome: Delivery::Submitted, reason: String::new() })
}

async fn clear(screen: &dyn Screen, session: &str) -> Result<Delivered, ShellError> {
    for _ in 0..CLEAR_MAX {
        screen.send_keys(session, &["C-u"]).await?;
        tokio::time::sleep(LOOK_EVERY).await;
        if input(&screen.capture(session).await?) == Input::Empty {
            return Ok(Delivered { outcome: Delivery::Submitted, reason: String::new() });
        }
    }
    Ok(Delivered {
        outcome: Delivery::Submitted,
        reason: "the interrupted prompt stands in the input box".into(),
    })
}

/// Looks at the screen until `enough` or the deadline, and returns what was seen last.
async fn look_until(
    screen: &dyn Screen,
    session: &str,
    limit: Duration,
    enough: impl Fn(&Input) -> bool + Send,
) -> Result<Input, ShellError> {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let seen = input(&screen.capture(session).await?);
        if enough(&seen) || deadline <= tokio::time::Instant::now() {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells whether the box shows the pasted text. Long ones are shown as a placeholder.
fn shows(draft: &str, text: &str) -> bool {
    let placeholder = draft.starts_with("[Pasted text #") && draft.ends_with(']');
    placeholder || essence(draft) == essence(text)
}

/// A megabyte takes Claude about three seconds.
fn paste_wait(text: &str) -> Duration {
    PASTE_WAIT + Duration::from_millis(text.len() as u64 / 100)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A session whose box does what Claude's does.
    #[derive(Default)]
    struct Fake {
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        draft: String,
        sent: Vec<String>,
        keys: Vec<String>,
        dialog: Option<&'static str>,
        restores: Option<&'static str>,
        eats: usize,
        deaf: bool,
    }

    #[async_trait]
    impl Screen for Fake {
        async fn capture(&self, _: &str) -> Result<String, ShellError> {
            let state = self.state.lock().unwrap();
            let rule = "─".repeat(40);
            if let Some(dialog) = state.dialog {
                return Ok(format!("{rule}\n {dialog}\n Esc to cancel\n"));
            }
            let draft = state.draft.replace('\n', "\n  ");
            Ok(format!("hi\n{rule}\n❯\u{a0}{draft}\n{rule}\n  manual mode\n"))
        }

        async fn paste(&self, _: &str, text: &[u8]) -> Result<(), ShellError> {
            let mut state = self.state.lock().unwrap();
            let text = String::from_utf8(text.to_vec()).unwrap();
            if 3 < text.lines().count() {
                state.draft.push_str("[Pasted text #1 +9 lines]");
            } else {
                state.draft.push_str(&text.replace('\t', "    "));
            }
            Ok(())
        }

        async fn send_keys(&self, _: &str, keys: &[&str]) -> Result<(), ShellError> {
            let mut state = self.state.lock().unwrap();
            for key in keys {
                state.keys.push((*key).to_owned());
                match *key {
                    "Enter" if state.deaf => (),
                    "Enter" if 0 < state.eats => state.eats -= 1,
                    "Enter" => {
                        let draft = std::mem::take(&mut state.draft);
                        state.sent.push(draft);
                    }
                    "Escape" => {
                        if let Some(text) = state.restores {
                            state.draft.push_str(text);
                        }
                    }
                    "C-u" => {
                        let kept = state.draft.rsplit_once('\n').map(|(kept, _)| kept.to_owned());
                        state.draft = kept.unwrap_or_default();
                    }
                    other => panic!("{other}"),
                }
            }
            Ok(())
        }
    }

    async fn typed(state: State, text: &str) -> (Delivered, State) {
        let fake = Fake { state: Mutex::new(state) };
        let delivered = type_prompt(&fake, "s", text).await.unwrap();
        (delivered, fake.state.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_is_typed_into_an_empty_box() {
        for text in ["do it", "a\tb\nc", "\u{1b}[31mred\u{1b}[0m", "1\n2\n3\n4\n5", "/compact"] {
            let (delivered, state) = typed(State::default(), text).await;
            assert_eq!(delivered, Delivered::typed(""), "{text}");
            assert_eq!((state.sent.len(), state.keys.len()), (1, 1), "{text}");
        }
        // A list of completions takes the first Enter.
        let (delivered, state) = typed(State { eats: 1, ..State::default() }, "look").await;
        assert_eq!((delivered, state.sent.len()), (Delivered::typed(""), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_pressed_where_it_would_mean_something_else() {
        let draft = || State { draft: "mine".into(), ..State::default() };
        let dialog = || State { dialog: Some("Do you want to proceed?"), ..State::default() };
        for (state, text) in [
            (draft(), "do it"),
            (dialog(), "do it"),
            (State::default(), "!ls"),
            (State::default(), "exit"),
            (State::default(), " "),
        ] {
            let (delivered, state) = typed(state, text).await;
            assert_eq!(delivered.outcome, Delivery::NotDelivered, "{text}");
            assert!(!delivered.reason.is_empty());
            assert_eq!(state.keys, [""; 0], "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_box_that_does_not_send_is_reported() {
        let (delivered, state) = typed(State { deaf: true, ..State::default() }, "do it").await;
        assert_eq!(delivered.outcome, Delivery::Typed);
        assert!(!delivered.reason.is_empty());
        assert_eq!(state.draft, "do it");
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_leaves_the_box_as_it_was() {
        let submitted = Delivered { outcome: Delivery::Submitted, reason: String::new() };
        for (draft, restores, left) in [
            ("", None, ""),
            ("", Some("the old\nprompt"), ""),
            ("mine", None, "mine"),
            ("mine", Some("x"), "minex"),
        ] {
            let state = State { draft: draft.into(), restores, ..State::default() };
            let fake = Fake { state: Mutex::new(state) };
            assert_eq!(interrupt(&fake, "s").await.unwrap(), submitted, "{draft} {restores:?}");
            assert_eq!(fake.state.into_inner().unwrap().draft, left);
        }
        let trust =
            State { dialog: Some("Quick safety check: Is this a project you"), ..State::default() };
        let fake = Fake { state: Mutex::new(trust) };
        let delivered = interrupt(&fake, "s").await.unwrap();
        assert_eq!(delivered.outcome, Delivery::NotDelivered);
        assert_eq!(fake.state.into_inner().unwrap().keys, [""; 0]);
    }
}
