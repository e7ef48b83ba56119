use proptest::prelude::*;

use super::*;

/// Returns the special parts of lines of a file, each with the first letter of what it is.
fn parts(path: &str, lines: &[&str]) -> Vec<String> {
    let mut reader = Reader::new(of(path).unwrap());
    let mut found = Vec::new();
    for line in lines {
        let mut at = 0;
        for part in reader.line(line) {
            let text = &line[at..part.end];
            at = part.end;
            match part.role {
                Some(Role::CodeKeyword) => found.push(format!("k {text}")),
                Some(Role::CodeText) => found.push(format!("t {text}")),
                Some(Role::CodeNumber) => found.push(format!("n {text}")),
                Some(Role::CodeComment) => found.push(format!("c {text}")),
                _ => (),
            }
        }
    }
    found
}

#[test]
fn rust_is_read() {
    let line = r#"pub fn id<'a>(it: &'a str) -> char { '\'' } // isn't "it" 7"#;
    assert_eq!(parts("src/a.rs", &[line]), ["k pub", "k fn", r"t '\''", "c // isn't \"it\" 7"]);
    let lines = ["let x = 0x1f_u8 /* a", "b */ + 2.5;", "format!(\"a \\\" b\", 'x')"];
    let expected = ["k let", "n 0x1f_u8", "c /* a", "c b */", "n 2.5", "t \"a \\\" b\"", "t 'x'"];
    assert_eq!(parts("a.rs", &lines), expected);
    assert_eq!(parts("a.rs", &["a1 _if fnord"]), [""; 0]);
}

#[test]
fn others_are_read() {
    let lines = ["def f(a):  # it's", "    \"\"\"Says", "what\"\"\" + 'x'"];
    let expected = ["k def", "c # it's", "t \"\"\"Says", "t what\"\"\"", "t 'x'"];
    assert_eq!(parts("f.py", &lines), expected);
    assert_eq!(parts("a.JSON", &["{\"a\": [1, true]}"]), ["t \"a\"", "n 1", "k true"]);
    assert_eq!(parts("x/Dockerfile", &["# FROM 'a'"]), ["c # FROM 'a'"]);
    assert_eq!(parts("q.sql", &["SELECT 1 -- one"]), ["k SELECT", "n 1", "c -- one"]);
    assert_eq!(
        parts("a.ts", &["const a = `x", "${y}` + 1"]),
        ["k const", "t `x", "t ${y}`", "n 1"]
    );
    for unknown in ["README.md", "notes.txt", "LICENSE", "", "a/b", ".rs.bak"] {
        assert_eq!(of(unknown), None, "{unknown}");
    }
}

const FILES: [&str; 14] = [
    "a.rs", "a.c", "a.go", "a.kt", "a.ts", "a.swift", "a.css", "a.py", "a.rb", "a.sh", "a.sql",
    "a.lua", "a.toml", "a.html",
];

proptest! {
    #[test]
    fn the_parts_of_any_line_are_the_line(
        file in 0..FILES.len(),
        lines in proptest::collection::vec("[\\PC\t\"'`/*#\\\\<!a0_-]{0,40}", 0..6),
    ) {
        let mut reader = Reader::new(of(FILES[file]).unwrap());
        for line in &lines {
            let mut at = 0;
            for part in reader.line(line) {
                prop_assert!(at < part.end && line.is_char_boundary(part.end));
                at = part.end;
            }
            prop_assert_eq!(at, line.len());
        }
    }
}
