//! The one table of keys: what can be done, where, by which keys, in which words.
//!
//! Dispatch, footer, help, palette, `[keys]` of the configuration and `parhelia keys` all read it.
//! A key that does nothing yet has no row.

mod name;
pub mod outer;
mod rebind;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::vt::input::{Key, Phase};
pub use name::{parse, show};

/// Where keys are pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Everywhere but in an attached session and where text is typed.
    Global,
    Tasks,
    Preview,
    Log,
    Checkpoints,
    Budget,
    Inbox,
    /// A session or a shell has the keys; only these are ours.
    Attached,
    /// Looking back in a terminal.
    Scroll,
    /// The task form.
    Form,
}

impl Context {
    /// Returns what the place is called in help and complaints.
    pub fn name(self) -> &'static str {
        match self {
            Context::Global => "everywhere",
            Context::Tasks => "tasks",
            Context::Preview => "preview",
            Context::Log => "log",
            Context::Checkpoints => "checkpoints",
            Context::Budget => "budget",
            Context::Inbox => "inbox",
            Context::Attached => "attached",
            Context::Scroll => "looking back",
            Context::Form => "form",
        }
    }

    /// Tells whether the keys that count everywhere count here too.
    pub fn has_global(self) -> bool {
        !matches!(self, Context::Attached | Context::Scroll | Context::Form)
    }

    /// Tells whether characters are text here, so that no action can have one.
    pub fn is_text(self) -> bool {
        matches!(self, Context::Attached | Context::Form)
    }
}

/// A row of the table.
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// Where.
    pub context: Context,
    /// Its name in `[keys]` and for `:`.
    pub name: &'static str,
    /// Its keys unless `[keys]` says otherwise.
    pub keys: &'static [&'static str],
    /// What it does, in a word or two, for the footer.
    pub short: &'static str,
    /// What it does, for help and palette.
    pub long: &'static str,
    /// Its place in the footer, first is lowest; zero keeps it out.
    pub footer: u8,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $context:ident $variant:ident = $name:literal [$($key:literal)*] $short:literal, $long:literal, $footer:literal;)*) => {
        /// Everything a key, the palette or `:` can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        /// The table, in the order of the help.
        pub const TABLE: &[Binding] = &[
            $(Binding {
                action: Action::$variant,
                context: Context::$context,
                name: $name,
                keys: &[$($key),*],
                short: $short,
                long: $long,
                footer: $footer,
            },)*
        ];
    };
}

actions! {
    Tasks Attach = "attach" ["enter" "a"] "attach", "attach to the session in the pane", 1;
    Tasks AttachFull = "attach-full" ["A"] "full attach", "give the whole terminal to the session, and come back", 0;
    Tasks Kill = "kill" ["x"] "kill", "end the session; says first what is lost and what stays", 2;
    Tasks Purge = "purge" ["X"] "purge", "delete a finished task with its workspace", 0;
    Tasks Park = "park" ["u"] "park", "park the task: saved, interrupted, its worker released; or let a parked one go on", 20;
    Tasks TaskCap = "cap" ["b"] "cap", "set the most the task may cost", 0;
    Tasks Recover = "recover" ["r"] "recover", "bring the task back: says what it will do", 3;
    Tasks Retry = "retry" ["R"] "retry", "run the task again from the start", 0;
    Tasks Prompt = "prompt" ["p"] "prompt", "send a prompt without attaching, to all marked if any", 4;
    Tasks AnswerAsk = "answer" ["i"] "answer", "answer what the task asks", 5;
    Tasks Interrupt = "interrupt" ["ctrl-x"] "interrupt", "interrupt the turn that runs", 0;
    Tasks Mark = "mark" ["space"] "mark", "mark the task; actions then apply to all marked", 0;
    Tasks MarkRange = "mark-range" ["ctrl-space"] "mark range", "mark from the last mark to here", 0;
    Tasks MarkAll = "mark-all" ["ctrl-a"] "mark all", "mark every task shown", 0;
    Tasks Describe = "describe" ["D"] "describe", "show every fact about the task", 0;
    Tasks Diff = "diff" ["d"] "diff", "show what the task changed", 0;
    Tasks Why = "why" ["v"] "why", "show why the task has this status", 0;
    Tasks OpenLog = "log" ["l" "right"] "log", "go to the task's log", 0;
    Tasks CheckpointNow = "checkpoint" ["c"] "checkpoint", "save workspace and conversation now, of all marked if any", 18;
    Tasks OpenCheckpoints = "open-checkpoints" ["C"] "checkpoints", "go to the task's checkpoints", 0;
    Tasks ShellHere = "shell" ["s"] "shell", "open a shell in the task's workspace", 0;
    Tasks OpenUrl = "open" ["o"] "open", "open the pull request or address the task spoke of last", 0;
    Tasks Sort = "sort" ["S"] "sort", "choose how the tasks are sorted", 0;
    Tasks Group = "group" ["B"] "group", "choose how the tasks are grouped", 0;
    Tasks CopyMenu = "copy" ["y"] "copy", "copy id, branch, path, attach command or last answer", 0;
    Tasks PreviewUp = "preview-up" ["K"] "scroll", "scroll the preview up", 0;
    Tasks PreviewDown = "preview-down" ["J"] "scroll", "scroll the preview down", 0;

    Preview PaneAttach = "pane-attach" ["enter" "a"] "attach", "attach to the session in the pane", 1;
    Preview PaneScroll = "pane-scroll" ["v" "pageup" "k" "up"] "look back", "look back at what the terminal showed", 2;
    Preview PaneAttachFull = "pane-attach-full" ["A"] "full attach", "give the whole terminal to the session, and come back", 0;

    Log LogFollow = "log-follow" ["s" "G" "end"] "follow", "go to the end and follow", 1;
    Log LogView = "log-view" ["V"] "view", "next view: activity, events, terminal", 2;
    Log LogWrap = "log-wrap" ["w"] "wrap", "wrap long lines or cut them", 3;
    Log LogTimes = "log-times" ["t"] "times", "show or hide the times", 0;
    Log LogSearch = "log-search" ["/"] "search", "search; n and N go to the next and the one before", 4;
    Log LogNext = "log-next" ["n"] "next", "next match", 0;
    Log LogBefore = "log-before" ["N"] "before", "match before", 0;
    Log LogFilter = "log-filter" ["F"] "filter", "show only lines that hold a text, or not (!text)", 0;
    Log LogTools = "log-tools" ["T"] "tools", "show only tool calls", 0;
    Log LogNextError = "log-error" ["e"] "error", "next error", 0;
    Log LogErrorBefore = "log-error-before" ["E"] "error", "error before", 0;
    Log LogTurnBefore = "log-turn-before" ["{"] "turn", "turn before", 0;
    Log LogTurnNext = "log-turn" ["}"] "turn", "next turn", 0;
    Log LogMark = "log-mark" ["m"] "mark", "mark the line", 0;
    Log LogSelect = "log-select" ["v"] "select", "select lines; y copies them", 0;
    Log LogYank = "log-yank" ["y"] "copy", "copy the selected lines", 0;
    Log LogCopyScreen = "log-copy" ["c"] "copy", "copy what is shown", 0;
    Log LogSave = "log-save" ["ctrl-s"] "save", "save the log to a file", 5;
    Log LogPipe = "log-pipe" ["|"] "pipe", "pipe the log into a command", 0;
    Log LogPager = "log-pager" ["o"] "pager", "open the log in $PAGER", 0;

    Checkpoints CheckpointFiles = "checkpoint-files" ["enter"] "files", "list the files of the checkpoint; Enter on one shows what changed in it", 1;
    Checkpoints CheckpointDiff = "checkpoint-diff" ["d"] "diff", "show what changed since the checkpoint before it, or between the two marked", 2;
    Checkpoints CheckpointDiffNow = "checkpoint-diff-now" ["D"] "diff now", "show what changed since the checkpoint", 5;
    Checkpoints CheckpointRestore = "checkpoint-restore" ["r"] "restore", "put the workspace back as it was: shows first what changes, saves first what is there", 3;
    Checkpoints CheckpointFork = "checkpoint-fork" ["b"] "fork", "make a new task that goes on from the checkpoint", 4;
    Checkpoints CheckpointMark = "checkpoint-mark" ["space"] "mark", "mark two checkpoints, to compare them with each other", 0;
    Checkpoints CheckpointCreate = "checkpoint-create" ["c"] "create", "save the task now, under a name", 6;
    Checkpoints CheckpointLabel = "checkpoint-label" ["e"] "rename", "give the checkpoint another name", 0;
    Checkpoints CheckpointPin = "checkpoint-pin" ["P"] "pin", "keep the checkpoint for ever, or no more", 0;
    Checkpoints CheckpointDelete = "checkpoint-delete" ["x"] "delete", "delete the checkpoint; asks first", 7;
    Checkpoints CheckpointSort = "checkpoint-sort" ["S"] "sort", "sort by time, size or change", 0;

    Budget BudgetOpen = "budget-open" ["enter"] "open", "what the row is made of: a task's turns; on a ceiling, edit it", 1;
    Budget BudgetEdit = "budget-edit" ["e"] "edit", "set the ceiling of the row under the cursor; on a task, its own", 2;
    Budget BudgetMore = "budget-more" [">"] "+10%", "a ceiling higher by 10 %; Enter saves it", 0;
    Budget BudgetLess = "budget-less" ["<"] "-10%", "a ceiling lower by 10 %; Enter saves it", 0;
    Budget BudgetPeriodBefore = "budget-period-before" ["["] "period", "period before: hour, day, week, month, all", 0;
    Budget BudgetPeriodNext = "budget-period" ["]"] "period", "next period: hour, day, week, month, all", 3;
    Budget BudgetGroup = "budget-group" ["B"] "group", "group by task, type, host, model, day", 4;
    Budget BudgetPark = "budget-park" ["u"] "park", "park each task that spent more than its share; asks first", 5;
    Budget BudgetExport = "budget-export" ["E"] "export", "write the table to a CSV file", 6;
    Budget BudgetExplain = "budget-explain" ["v"] "sources", "say where each figure comes from, and what the marks mean", 7;

    Inbox InboxSend = "inbox-send" ["enter"] "send", "send the chosen option", 1;
    Inbox InboxYes = "inbox-yes" ["y"] "allow", "allow it once", 2;
    Inbox InboxNo = "inbox-no" ["n"] "deny", "deny it", 3;
    Inbox InboxWords = "inbox-words" ["p"] "words", "answer in words", 4;
    Inbox InboxAttach = "inbox-attach" ["a"] "attach", "attach to the session that asks", 5;
    Inbox InboxRaise = "inbox-raise" ["e"] "raise", "set the ceiling that is near or reached", 6;
    Inbox InboxUnpark = "inbox-unpark" ["u"] "unpark", "let the parked task go on", 7;
    Inbox InboxNext = "inbox-next" ["J" "tab"] "next", "next question", 0;
    Inbox InboxMark = "inbox-mark" ["space"] "mark", "mark it; y and n then apply to all marked", 0;

    Attached Leave = "leave" ["ctrl-q" "f12"] "leave", "leave the session; it keeps running", 1;
    Attached AttachedNextNeeds = "attached-next-needs-you" ["f2" "ctrl-alt-n"] "next !", "go to the next task that needs you, attached", 2;
    Attached Switcher = "switcher" ["f3" "ctrl-alt-p"] "switch", "attach to another session", 3;
    Attached AttachedCheckpoint = "attached-checkpoint" ["f4" "ctrl-alt-c"] "checkpoint", "save workspace and conversation now", 5;
    Attached Resync = "resync" ["f5"] "repaint", "set the size again and repaint", 0;
    Attached ZoomPane = "zoom" ["f6" "ctrl-alt-z"] "zoom", "give the pane the whole screen, or not", 4;
    Attached ScrollMode = "scroll" ["f7" "shift-pageup"] "look back", "look back, search and copy", 6;
    Attached MouseBack = "mouse" ["f8"] "mouse", "give the mouse to the terminal outside, or take it back", 0;

    Scroll ScrollLeave = "scroll-leave" ["esc" "q" "f7"] "back", "go back to the live screen", 1;
    Scroll ScrollSearch = "scroll-search" ["/"] "search", "search", 2;
    Scroll ScrollNext = "scroll-next" ["n"] "next", "next match", 0;
    Scroll ScrollBefore = "scroll-before" ["N"] "before", "match before", 0;
    Scroll ScrollSelect = "scroll-select" ["v" "space"] "select", "begin to select lines", 3;
    Scroll ScrollYank = "scroll-yank" ["y" "enter"] "copy", "copy the selected lines", 4;
    Scroll ScrollEdit = "scroll-edit" ["e"] "editor", "open all of it in the editor", 5;

    Form FormSubmit = "form-submit" ["ctrl-s" "ctrl-enter"] "submit", "submit the task", 1;
    Form FormSubmitAttach = "form-submit-attach" ["ctrl-o"] "submit+attach", "submit the task and attach", 2;
    Form FormEditor = "form-editor" ["ctrl-g"] "editor", "write the prompt in the editor", 3;
    Form FormHistory = "form-history" ["ctrl-r"] "history", "choose among prompts sent before", 4;
    Form FormTemplates = "form-templates" ["ctrl-t"] "templates", "choose or save a template", 5;
    Form FormDryRun = "form-dry-run" ["ctrl-y"] "dry run", "show the exact commands and the price per hour", 6;
    Form FormClose = "form-close" ["esc"] "close", "close; the draft is kept", 7;

    Global New = "new" ["n"] "new", "new task", 6;
    Global NewLike = "new-like" ["N"] "new like", "new task like the selected one", 0;
    Global RepeatLast = "repeat" ["."] "repeat", "new task like the last one", 0;
    Global NextNeeds = "next-needs-you" ["w" "f2"] "next !", "go to the next task that needs you", 9;
    Global NeedsBefore = "needs-you-before" ["W"] "before !", "go to the task before that needs you", 0;
    Global Undo = "undo" ["z"] "undo", "undo the last action", 10;
    Global Filter = "filter" ["/"] "filter", "filter: text, !text, s:needs, h:local, t:test, $>5, age>2h", 7;
    Global ClearFilter = "clear-filter" ["0"] "all", "clear the filter", 0;
    Global CommandLine = "command" [":"] "cmd", "command line", 8;
    Global Palette = "palette" ["ctrl-p"] "palette", "every action, by a few letters", 0;
    Global PanelTasks = "panel-tasks" ["1"] "tasks", "go to the tasks", 0;
    Global PanelPreview = "panel-preview" ["2"] "preview", "go to the preview", 0;
    Global PanelLog = "panel-log" ["3"] "log", "go to the log", 0;
    Global PanelCheckpoints = "panel-checkpoints" ["4"] "checkpoints", "go to the task's checkpoints", 0;
    Global PanelBudget = "panel-budget" ["5"] "budget", "go to the budget", 0;
    Global PanelInbox = "panel-inbox" ["6"] "inbox", "go to all that waits for a person", 0;
    Global NextPanel = "next-panel" ["tab"] "next panel", "next panel", 0;
    Global PanelBefore = "panel-before" ["backtab"] "panel before", "panel before", 0;
    Global FullScreen = "full-screen" ["f"] "full", "give the panel the whole screen, or not", 0;
    Global Bigger = "bigger" ["+" "="] "bigger", "make the panel bigger", 0;
    Global Smaller = "smaller" ["_"] "smaller", "make the panel smaller", 0;
    Global LastView = "last-view" ["-"] "last", "go back to the panel before", 0;
    Global Down = "down" ["j" "down"] "down", "down", 0;
    Global Up = "up" ["k" "up"] "up", "up", 0;
    Global Top = "top" ["g" "home"] "top", "to the first", 0;
    Global Bottom = "bottom" ["G" "end"] "bottom", "to the last", 0;
    Global PageDown = "page-down" ["ctrl-d" "pagedown"] "page", "a page down", 0;
    Global PageUp = "page-up" ["ctrl-u" "pageup"] "page", "a page up", 0;
    Global Out = "out" ["h" "left"] "out", "back to the tasks", 0;
    Global Jobs = "jobs" ["&"] "jobs", "what is being done now; x gives it up", 0;
    Global Calls = "calls" ["@"] "calls", "every request to the dispatcher with its time and outcome", 0;
    Global UndoList = "undo-list" ["Z"] "undo list", "what can be undone", 0;
    Global Refresh = "refresh" ["ctrl-r"] "refresh", "sort again, ask again, and connect again if need be", 0;
    Global Redraw = "redraw" ["ctrl-l"] "redraw", "draw our own screen again", 0;
    Global Setup = "setup" ["f9"] "setup", "what this machine needs for Claude, and how to get it", 0;
    Global Record = "record" ["f10"] "record", "write down what happened here, for a defect report", 0;
    Global Suspend = "suspend" ["ctrl-z"] "suspend", "stop this program; fg brings it back", 0;
    Global Theme = "theme" [] "theme", "next theme: dark, light, high-contrast, plain", 0;
    Global Help = "help" ["?"] "help", "help for this place", 250;
    Global Close = "close" ["esc"] "up", "up one level; never quits", 0;
    Global QuitTwice = "quit-twice" ["ctrl-c"] "quit", "twice within two seconds: quit; tasks keep running", 0;
    Global Quit = "quit" ["q"] "quit", "quit; tasks keep running", 0;
}

/// The keys in use: the table with what `[keys]` changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    /// Each action's keys, in the order of [`TABLE`].
    keys: Vec<Vec<Key>>,
    /// What each key does where; of two actions that claim one key, one has it.
    by_key: HashMap<(Context, Key), Action>,
}

impl Default for Keymap {
    fn default() -> Keymap {
        Keymap::of(defaults())
    }
}

/// Returns each action's keys without a configuration.
fn defaults() -> Vec<Vec<Key>> {
    let keys = |it: &Binding| it.keys.iter().filter_map(|it| parse(it)).collect();
    TABLE.iter().map(keys).collect()
}

impl Keymap {
    /// Returns the table with what `[keys]` and `ui.detach_keys` change, and what is wrong with
    /// those, one line each.
    pub fn with(keys: &BTreeMap<String, String>, detach: &[String]) -> (Keymap, Vec<String>) {
        rebind::with(keys, detach)
    }

    fn of(keys: Vec<Vec<Key>>) -> Keymap {
        let mut by_key = HashMap::new();
        for (row, keys) in TABLE.iter().zip(&keys) {
            for key in keys {
                by_key.entry((row.context, *key)).or_insert(row.action);
            }
        }
        Keymap { keys, by_key }
    }

    /// Returns what `key` does in `context`; the context's own rows come before the global ones.
    pub fn action(&self, context: Context, key: &Key) -> Option<Action> {
        if key.phase == Phase::Release {
            return None;
        }
        let key = name::plain(key);
        let own = self.by_key.get(&(context, key));
        let global = || self.by_key.get(&(Context::Global, key)).filter(|_| context.has_global());
        own.or_else(global).copied()
    }

    /// Returns the keys of an action.
    pub fn keys(&self, action: Action) -> &[Key] {
        self.keys.get(action as usize).map_or(&[], Vec::as_slice)
    }

    /// Returns the name of the first key that really does `action` in `context`; nothing if it has
    /// none, or others took them all.
    pub fn label(&self, context: Context, action: Action) -> Option<String> {
        let works = |it: &&Key| self.action(context, it) == Some(action);
        self.keys(action).iter().find(works).map(show)
    }

    /// Returns the names of all keys of an action, the first first.
    pub fn labels(&self, action: Action) -> Vec<String> {
        self.keys(action).iter().map(show).collect()
    }
}

/// Returns the row of an action.
pub fn binding(action: Action) -> &'static Binding {
    // Every action has a row: both come from one macro, in one order.
    &TABLE[action as usize]
}

/// Returns the action of that name.
pub fn named(name: &str) -> Option<Action> {
    TABLE.iter().find(|it| it.name == name).map(|it| it.action)
}
