//! The project's own source, for tests that read it.

use std::{fs, path::Path, str::FromStr};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file.
pub struct Source {
    /// Its path under `src`, or under `tests/it`, with `/` between.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// Makes one that is not on disk.
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// Returns whether the whole file is a module of tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Returns its tokens.
    pub fn tokens(&self) -> TokenStream {
        TokenStream::from_str(&self.text).unwrap_or_else(|err| panic!("{}: {err}", self.path))
    }
}

/// Returns every file under `src`, by path.
pub fn files() -> Vec<Source> {
    under("src")
}

/// Returns every Rust file under a directory of the repository, by path.
pub fn under(dir: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut out = Vec::new();
    collect(&root, &root, &mut out);
    out.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!out.is_empty(), "no source under {}", root.display());
    out
}

fn collect(root: &Path, dir: &Path, out: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, out);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            out.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Returns the tokens of one level without the items that are there for tests only.
pub fn shipped(stream: TokenStream) -> Vec<TokenTree> {
    let mut out = Vec::new();
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let hash = matches!(&token, TokenTree::Punct(it) if it.as_char() == '#');
        match tokens.peek() {
            Some(TokenTree::Group(group)) if hash && is_cfg_test(group) => {
                while tokens.next().is_some_and(|it| !ends_item(&it)) {}
            }
            _ => out.push(token),
        }
    }
    out
}

fn is_cfg_test(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    }
}
