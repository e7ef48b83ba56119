//! Rules of the house that no lint knows.

use proc_macro2::{TokenStream, TokenTree};

use crate::support::source::{self, Source};

/// The longest file anyone would want to live in.
const LINES_MAX: usize = 600;

#[test]
fn the_source_keeps_the_house_rules() {
    let mut found: Vec<String> = source::files().iter().flat_map(faults).collect();
    for file in source::under("tests/it") {
        found.extend(too_long(&file).map(|it| format!("tests/it/{it}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_sown_fault_is_found_and_nothing_else() {
    // Put together here, so that a search of the tree for unfinished marks finds none.
    let mark = ["TO", "DO"].concat();
    let fixme = ["FIX", "ME"].concat();
    for (text, expected) in [
        ("x\n".repeat(601), "601 lines, more than 600"),
        ("x\n".repeat(600), ""),
        ("#[allow(dead_code)] fn f() {}".into(), "`expect` with a reason, not `allow`"),
        ("#![allow(dead_code)]".into(), "`expect` with a reason, not `allow`"),
        ("#[cfg_attr(test, allow(dead_code))] fn f() {}".into(), "not `allow`"),
        ("#[expect(dead_code, reason = \"no\")] fn f() {}".into(), ""),
        ("fn f() { allow(1) }".into(), ""),
        ("fn f() { x.unwrap() }".into(), "`unwrap`"),
        ("fn f() { m!(x . unwrap ()) }".into(), "`unwrap`"),
        ("fn f() { x.unwrap_or_default() }".into(), ""),
        ("#[cfg(test)] mod tests { fn f() { x.unwrap() } }".into(), ""),
        ("#[cfg(test)] mod t { } fn f() { x.unwrap() }".into(), "`unwrap`"),
        ("#[cfg(test)] #[path = \"t.rs\"] mod t; fn f() { x.unwrap() }".into(), "`unwrap`"),
        ("/// Not `.unwrap()`.\nfn f() {}".into(), ""),
        (format!("// {mark}: later"), "unfinished"),
        (format!("fn f() {{}} // {fixme}"), "unfinished"),
        (format!("const {mark}S: u8 = 0;"), ""),
        ("fn f() { todo!() }".into(), "unfinished"),
    ] {
        let found = faults(&Source::new("a.rs", &text)).join("; ");
        let right = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
        assert!(right, "{text}\n  said `{found}`\n  not  `{expected}`");
    }
}

fn faults(file: &Source) -> Vec<String> {
    let mut out: Vec<String> = too_long(file).into_iter().collect();
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    for (i, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if words.any(|word| marks.iter().any(|mark| mark == word)) {
            out.push(format!("{}:{}: unfinished", file.path, i + 1));
        }
    }
    if !file.is_test() {
        scan(file.tokens(), &mut |line, what| out.push(format!("{}:{line}: {what}", file.path)));
    }
    out
}

fn too_long(file: &Source) -> Option<String> {
    let lines = file.text.lines().count();
    (LINES_MAX < lines).then(|| format!("{}: {lines} lines, more than {LINES_MAX}", file.path))
}

fn scan(stream: TokenStream, found: &mut dyn FnMut(usize, &str)) {
    let tokens = source::shipped(stream);
    for (i, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        let (before, after) = (i.checked_sub(1).map(|it| &tokens[it]), tokens.get(i + 1));
        let call = matches!(after, Some(TokenTree::Group(_)));
        match token {
            TokenTree::Group(group) => {
                // `#[…]` or `#![…]`.
                let mark = if is(before, '!') { i.checked_sub(2) } else { i.checked_sub(1) };
                if is(mark.map(|it| &tokens[it]), '#') && allows(group.stream()) {
                    found(line, "`expect` with a reason, not `allow`");
                }
                scan(group.stream(), found);
            }
            TokenTree::Ident(word) if call && is(before, '.') && word == "unwrap" => {
                found(line, "`unwrap` outside of a test");
            }
            TokenTree::Ident(word)
                if is(after, '!') && (word == "todo" || word == "unimplemented") =>
            {
                found(line, "unfinished");
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => (),
        }
    }
}

/// Returns whether an attribute is, or brings in, an `allow(…)`.
fn allows(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    tokens.iter().enumerate().any(|(i, token)| match token {
        TokenTree::Ident(word) => {
            word == "allow" && matches!(tokens.get(i + 1), Some(TokenTree::Group(_)))
        }
        TokenTree::Group(group) => allows(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn is(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(it)) if it.as_char() == c)
}
