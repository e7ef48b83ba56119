//! Enforces the dependency direction between the crate's top-level modules, and which of them may
//! link what.
//!
//! Works on tokens rather than on the syntax tree, so that paths inside macro bodies
//! (`tokio::select!`, `assert!`) count too. `#[cfg(test)]` items are exempt: a test may reach for
//! a fake from any layer.

use std::{collections::BTreeSet, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::source::{self, Source};

/// One row per top-level module, lowest first.
struct Layer {
    name: &'static str,
    /// The modules it may use; each must stand above it in the table.
    uses: &'static [&'static str],
    /// The guarded crates it may link, each with the paths that may: the layer's own name for all
    /// of it. A path covers what is below it, and `dispatcher/http*` also `dispatcher/http_sse`.
    links: &'static [(&'static str, &'static [&'static str])],
    /// Paths that may not link `tokio` even so: they judge or draw, and never wait.
    pure: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer { name: "stdx", uses: &[], links: &[], pure: &[] },
    Layer { name: "domain", uses: &["stdx"], links: &[], pure: &[] },
    Layer {
        name: "config",
        uses: &["domain", "stdx"],
        links: &[("std::fs", &["config"])],
        pure: &[],
    },
    Layer {
        name: "store",
        uses: &["domain", "stdx"],
        links: &[("rusqlite", &["store"]), ("std::fs", &["store"]), ("tokio", &["store"])],
        pure: &[],
    },
    Layer {
        name: "shell",
        uses: &["domain", "stdx"],
        links: &[
            ("notify", &["shell/local"]),
            ("portable_pty", &["shell/local"]),
            ("russh", &["shell/ssh"]),
            ("std::fs", &["shell/local"]),
            ("std::process", &["shell/local"]),
            ("tokio", &["shell"]),
        ],
        pure: &["shell/quote"],
    },
    Layer {
        name: "tmux",
        uses: &["shell", "domain", "stdx"],
        links: &[("tokio", &["tmux"])],
        pure: &["tmux/parse"],
    },
    Layer {
        name: "git",
        uses: &["shell", "domain", "stdx"],
        links: &[("tokio", &["git"])],
        pure: &["git/parse"],
    },
    Layer {
        name: "agent",
        uses: &["tmux", "shell", "domain", "stdx"],
        links: &[("tokio", &["agent"])],
        pure: &[
            "agent/activity",
            "agent/evidence",
            "agent/hooks",
            "agent/registry",
            "agent/settings",
            "agent/statusline",
            "agent/transcript",
            "agent/validate",
        ],
    },
    Layer {
        name: "checkpoint",
        uses: &["git", "shell", "domain", "stdx"],
        // The packer runs on the host itself, as a program of its own.
        links: &[
            ("std::fs", &["checkpoint/packer"]),
            ("std::process", &["checkpoint/packer"]),
            ("tokio", &["checkpoint"]),
        ],
        pure: &["checkpoint/retention"],
    },
    Layer {
        name: "provider",
        uses: &["shell", "domain", "stdx"],
        links: &[("tokio", &["provider"]), ("tonic", &["provider/modal"])],
        pure: &[],
    },
    Layer { name: "vt", uses: &["stdx"], links: &[("alacritty_terminal", &["vt"])], pure: &[] },
    Layer {
        name: "api",
        uses: &["domain", "stdx"],
        // The client looks at who owns the socket's directory before it speaks.
        links: &[("reqwest", &["api"]), ("std::fs", &["api/client"]), ("tokio", &["api"])],
        pure: &[],
    },
    Layer {
        name: "dispatcher",
        uses: &[
            "provider",
            "checkpoint",
            "agent",
            "tmux",
            "git",
            "store",
            "api",
            "config",
            "shell",
            "domain",
            "stdx",
        ],
        links: &[
            ("axum", &["dispatcher/http*"]),
            ("hyper", &["dispatcher/http*"]),
            ("hyper_util", &["dispatcher/http*"]),
            ("std::fs", &["dispatcher"]),
            ("tokio", &["dispatcher"]),
        ],
        pure: &["dispatcher/decide", "dispatcher/plan"],
    },
    Layer {
        name: "tui",
        uses: &["api", "vt", "config", "domain", "stdx"],
        links: &[
            ("ratatui", &["tui"]),
            ("std::fs", &["tui/perform"]),
            ("std::process", &["tui/perform"]),
            ("tokio", &["tui"]),
        ],
        pure: &[
            "tui/canvas",
            "tui/effect",
            "tui/filter",
            "tui/keymap",
            "tui/layout",
            "tui/model",
            "tui/money",
            "tui/msg",
            "tui/paint",
            "tui/pane",
            "tui/popup",
            "tui/sort",
            "tui/syntax",
            "tui/theme",
            "tui/update",
            "tui/view",
            "tui/widget",
            "tui/words",
        ],
    },
    Layer {
        name: "cli",
        uses: &["tui", "dispatcher", "api", "config", "domain", "stdx"],
        links: &[
            ("clap", &["cli"]),
            ("clap_complete", &["cli"]),
            ("clap_mangen", &["cli"]),
            ("std::fs", &["cli"]),
            ("std::process", &["cli"]),
            ("tokio", &["cli"]),
        ],
        pure: &[],
    },
];

/// What a layer must be granted by name.
const GUARDED: &[&str] = &[
    "alacritty_terminal",
    "axum",
    "clap",
    "clap_complete",
    "clap_mangen",
    "hyper",
    "hyper_util",
    "notify",
    "portable_pty",
    "ratatui",
    "reqwest",
    "rusqlite",
    "russh",
    "std::fs",
    "std::process",
    "tokio",
    "tonic",
];

/// Paths that are another way to what is guarded.
const SAME: &[(&str, &str)] = &[("tokio::fs", "std::fs"), ("tokio::process", "std::process")];

#[test]
fn modules_keep_to_their_layer() {
    let found = violations(&source::files(), LAYERS);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_table_refuses_a_cycle() {
    let upward = Layer { name: "low", uses: &["high"], links: &[], pure: &[] };
    let high = Layer { name: "high", uses: &["low"], links: &[], pure: &[] };
    assert_eq!(
        violations(&[], &[upward, high]),
        ["table: `low` may not list `high`, which is not above it"]
    );
}

/// A fault sown at a path, and what is said of it; nothing if it is none.
const SOWN: &[(&str, &str, &str)] = &[
    ("domain/a.rs", "use crate::store::Row;", "`domain` may not use `store`"),
    ("tmux/mod.rs", "fn f() { crate::agent::run() }", "`tmux` may not use `agent`"),
    ("cli/mod.rs", "use crate::{stdx::time, provider::{Worker, local}};", "may not use `provider`"),
    ("api/wire.rs", "use crate::domain::{self, ids};", ""),
    ("store/a/b.rs", "use super::super::super::shell::Shell;", "may not use `shell`"),
    ("store/a/b.rs", "use super::super::shell::Shell;", ""),
    ("store/mod.rs", "use super::shell::Shell;", "may not use `shell`"),
    ("shell/mod.rs", "fn f() { assert!(crate::tmux::ok()) }", "may not use `tmux`"),
    ("git/mod.rs", "use rusqlite::Connection;", "`git/mod` may not link `rusqlite`"),
    ("git/mod.rs", "extern crate rusqlite;", "`git/mod` may not link `rusqlite`"),
    ("git/mod.rs", "use {rusqlite as db, std::fmt};", "`git/mod` may not link `rusqlite`"),
    ("git/mod.rs", "use ::rusqlite::Connection;", "`git/mod` may not link `rusqlite`"),
    ("store/mod.rs", "use rusqlite::Connection;", ""),
    ("shell/local.rs", "use notify::Watcher;", ""),
    ("shell/local/watch.rs", "use notify::Watcher;", ""),
    ("shell/locality.rs", "use notify::Watcher;", "may not link `notify`"),
    ("shell/follow.rs", "use std::{fmt, process::Command};", "may not link `std::process`"),
    ("shell/follow.rs", "use tokio::process::Command;", "may not link `std::process`"),
    ("agent/run.rs", "async fn f() { tokio::fs::read(p).await }", "may not link `std::fs`"),
    ("agent/run.rs", "use tokio::{sync::mpsc, fs};", "may not link `std::fs`"),
    ("agent/run.rs", "use tokio::sync::mpsc;", ""),
    ("agent/hooks.rs", "use tokio::sync::mpsc;", "may not wait"),
    ("dispatcher/plan.rs", "fn f() { tokio::select! {} }", "may not wait"),
    ("dispatcher/plan/queue.rs", "use tokio::time;", "may not wait"),
    ("domain/state.rs", "async fn f() { tokio::time::pause() }", "may not link `tokio`"),
    ("dispatcher/http.rs", "use axum::Router;", ""),
    ("dispatcher/http_sse.rs", "use axum::Router;", ""),
    ("dispatcher/core.rs", "use axum::Router;", "may not link `axum`"),
    ("api/mod.rs", "fn f() -> T { ::reqwest::get() + ::axum::f() }", "may not link `axum`"),
    ("tui/mod.rs", "use crate::tui::{notify::Bell, view};", ""),
    ("domain/tests.rs", "use crate::store::Row;", ""),
    ("stray.rs", "", "module `stray` has no row"),
    ("lib.rs", "pub use domain::ids;", "the crate's root re-exports nothing"),
    ("lib.rs", "pub(crate) use domain::ids;", "the crate's root re-exports nothing"),
    ("lib.rs", "pub mod domain; use std::process;", ""),
    ("main.rs", "fn main() { tokio::main() }", ""),
    ("domain/a.rs", "#[cfg(test)] mod tests { use crate::store::Row; }", ""),
    ("domain/a.rs", "#[cfg(test)] use crate::store::Row; fn f() {}", ""),
    ("domain/a.rs", "#[cfg(not(test))] use crate::store::Row;", "may not use `store`"),
    ("domain/a.rs", "#[cfg(test)] fn f() {} use crate::store::Row;", "may not use `store`"),
    ("domain/a.rs", "/// See [`crate::store`].\nfn f() { \"crate::store\"; }", ""),
];

#[test]
fn every_sown_fault_is_found_and_nothing_else() {
    for (path, text, expected) in SOWN {
        let found = violations(&[Source::new(path, text)], LAYERS);
        match found.as_slice() {
            [] => assert_eq!(*expected, "", "{path}: {text}"),
            [one] => {
                let right = !expected.is_empty() && one.contains(expected);
                assert!(right, "{path}: {text}\n  said `{one}`\n  not  `{expected}`");
            }
            several => panic!("{path}: {text}\n  said {several:?}"),
        }
    }
}

fn violations(files: &[Source], layers: &[Layer]) -> Vec<String> {
    let mut out = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let above: BTreeSet<_> = layers[..i].iter().map(|it| it.name).collect();
        for name in layer.uses.iter().filter(|it| !above.contains(**it)) {
            let row = layer.name;
            out.push(format!("table: `{row}` may not list `{name}`, which is not above it"));
        }
    }
    for file in files.iter().filter(|it| !it.is_test()) {
        check(file, layers, &mut out);
    }
    out
}

fn check(file: &Source, layers: &[Layer], out: &mut Vec<String>) {
    let path = file.path.trim_end_matches(".rs");
    let top = path.split('/').next().unwrap_or_default();
    if matches!(path, "lib" | "main") {
        if let Some(line) = public_use(&source::shipped(file.tokens())) {
            out.push(format!("{}:{line}: the crate's root re-exports nothing", file.path));
        }
        return;
    }
    let Some(layer) = layers.iter().find(|it| it.name == top) else {
        out.push(format!("{}: module `{top}` has no row in the table", file.path));
        return;
    };
    // How many `super`s reach the crate's root from here.
    let depth = Path::new(path).iter().filter(|it| *it != "mod").count();
    let mut names = Vec::new();
    scan(file.tokens(), depth, &mut names);
    for (line, name) in names {
        if let Some(what) = fault(layer, path, &name) {
            out.push(format!("{}:{line}: {what}", file.path));
        }
    }
}

/// Returns what is wrong with naming `name` at `path` of `layer`.
fn fault(layer: &Layer, path: &str, name: &str) -> Option<String> {
    let row = layer.name;
    if let Some(module) = name.strip_prefix("crate::") {
        let allowed = module == row || layer.uses.contains(&module);
        return (!allowed).then(|| format!("`{row}` may not use `{module}`"));
    }
    if name == "tokio" && layer.pure.iter().any(|it| covers(it, path)) {
        return Some(format!("`{path}` judges or draws, so it may not wait: no `tokio`"));
    }
    let granted = layer.links.iter().find(|(it, _)| *it == name);
    let allowed = granted.is_some_and(|(_, paths)| paths.iter().any(|it| covers(it, path)));
    (!allowed).then(|| format!("`{path}` may not link `{name}`"))
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => {
            path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

/// Returns the line of the first `pub use`.
fn public_use(tokens: &[TokenTree]) -> Option<usize> {
    (0..tokens.len()).find_map(|i| {
        let scoped = matches!(tokens.get(i + 1), Some(TokenTree::Group(_)));
        let next = if scoped { i + 2 } else { i + 1 };
        let is = |at: usize, word: &str| ident_at(tokens, at).is_some_and(|it| it == word);
        (is(i, "pub") && is(next, "use")).then(|| tokens[i].span().start().line)
    })
}

/// Collects `crate::module` and the names of what is guarded, each with its line.
fn scan(stream: TokenStream, depth: usize, out: &mut Vec<(usize, String)>) {
    let tokens = source::shipped(stream);
    for (i, token) in tokens.iter().enumerate() {
        match token {
            // The rest of an import; its heads were looked at with its root.
            _ if after_path_sep(&tokens, i) => (),
            TokenTree::Group(group) => scan(group.stream(), depth, out),
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                path_at(&tokens, i, depth, &mut |name| out.push((line, name)));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => (),
        }
    }
}

/// Calls `found` for what the path that begins at `i` names.
fn path_at(tokens: &[TokenTree], i: usize, depth: usize, found: &mut dyn FnMut(String)) {
    let word = ident_at(tokens, i).unwrap_or_default();
    let mut at = i;
    let mut supers = 0;
    while ident_at(tokens, at).is_some_and(|it| it == "super") && path_sep(tokens, at + 1) {
        supers += 1;
        at += 3;
    }
    if word == "crate" && path_sep(tokens, i + 1) {
        heads(tokens, i + 3, &mut |name| found(format!("crate::{name}")));
    } else if 0 < supers && depth <= supers {
        heads(tokens, at, &mut |name| found(format!("crate::{name}")));
    } else if path_sep(tokens, i + 1) {
        let mut inner = Vec::new();
        heads(tokens, i + 3, &mut |name| inner.push(format!("{word}::{name}")));
        for name in &inner {
            let name = SAME.iter().find(|(it, _)| it == name).map_or(name.as_str(), |(_, it)| it);
            if GUARDED.contains(&name) {
                found(name.to_owned());
            }
        }
        // One that stands for another is judged as that other.
        let renamed = |it: &String| SAME.iter().any(|(from, _)| from == it);
        if GUARDED.contains(&word.as_str()) && !inner.iter().any(renamed) {
            found(word);
        }
    } else if GUARDED.contains(&word.as_str()) && imported(tokens, i) {
        found(word);
    }
}

/// Returns whether the lone name at `i` is an import: `use x`, `extern crate x`, `{x as y, …}`.
fn imported(tokens: &[TokenTree], i: usize) -> bool {
    let before = i.checked_sub(1).and_then(|it| ident_at(tokens, it));
    let after = ident_at(tokens, i + 1);
    before.is_some_and(|it| it == "use" || it == "crate") || after.is_some_and(|it| it == "as")
}

/// Calls `found` for the next path segment, or for each entry of `{a, b::c}`.
fn heads(tokens: &[TokenTree], i: usize, found: &mut dyn FnMut(String)) {
    match tokens.get(i) {
        Some(TokenTree::Ident(ident)) => found(ident.to_string()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut start = true;
            for token in group.stream() {
                if let (true, TokenTree::Ident(ident)) = (start, &token) {
                    found(ident.to_string());
                }
                start = matches!(&token, TokenTree::Punct(it) if it.as_char() == ',');
            }
        }
        _ => (),
    }
}

fn ident_at(tokens: &[TokenTree], i: usize) -> Option<String> {
    match tokens.get(i) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn path_sep(tokens: &[TokenTree], i: usize) -> bool {
    let colon =
        |it: Option<&TokenTree>| matches!(it, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(tokens.get(i)) && colon(tokens.get(i + 1))
}

/// Returns whether what stands at `i` goes on with a path: not so `::name` after a keyword, an
/// operator or nothing.
fn after_path_sep(tokens: &[TokenTree], i: usize) -> bool {
    const KEYWORDS: &[&str] = &["use", "return", "in", "as", "dyn", "impl", "mut", "match", "if"];
    3 <= i
        && path_sep(tokens, i - 2)
        && match &tokens[i - 3] {
            TokenTree::Ident(it) => KEYWORDS.iter().all(|word| it != word),
            TokenTree::Punct(it) => it.as_char() == '>',
            TokenTree::Group(_) | TokenTree::Literal(_) => false,
        }
}
