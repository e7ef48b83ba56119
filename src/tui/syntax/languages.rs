//! The languages that are known, by the endings of their files.

/// What is special in a language.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// What begins a comment up to the end of the line.
    pub line: &'static [&'static str],
    /// What begins and ends a comment.
    pub block: Option<(&'static str, &'static str)>,
    /// What begins and ends a text of several lines.
    pub long: &'static [&'static str],
    /// Characters that begin and end a text.
    pub quotes: &'static str,
    /// Whether a lone `'` is no text.
    pub lifetimes: bool,
    /// Its keywords, between blanks.
    pub words: &'static str,
}

/// Where a language leaves something open.
const PLAIN: Language =
    Language { line: &[], block: None, long: &[], quotes: "\"'", lifetimes: false, words: "" };

/// What languages with braces have in common.
const BRACES: Language = Language { line: &["//"], block: Some(("/*", "*/")), ..PLAIN };

const RUST: Language = Language {
    lifetimes: true,
    words: "as async await box break const continue crate dyn else enum extern false fn for if impl \
            in let loop match mod move mut pub ref return self Self static struct super trait true \
            type unsafe use where while",
    ..BRACES
};

const C: Language = Language {
    words: "alignas alignof auto bool break case catch char class const constexpr continue default \
            delete do double else enum explicit extern false final float for friend goto if inline \
            int long namespace new noexcept nullptr operator override private protected public \
            return short signed sizeof static struct switch template this throw true try typedef \
            typename union unsigned using virtual void volatile while",
    ..BRACES
};

const GO: Language = Language {
    quotes: "\"'`",
    words: "break case chan const continue default defer else fallthrough false for func go goto if \
            import interface map nil package range return select struct switch true type var",
    ..BRACES
};

const JAVA: Language = Language {
    words: "abstract as assert boolean break byte case catch char class companion const continue \
            data default do double else enum extends false final finally float for fun if \
            implements import in instanceof int interface internal is lateinit long native new \
            null object open override package private protected public record return sealed short \
            static super suspend switch synchronized this throw throws true try val var void \
            volatile when while",
    ..BRACES
};

const SCRIPT: Language = Language {
    long: &["`"],
    words: "abstract any as async await boolean break case catch class const continue debugger \
            declare default delete do else enum export extends false finally for from function get \
            if implements import in instanceof interface keyof let namespace new null number of \
            private protected public readonly return set static string super switch this throw \
            true try type typeof undefined unknown var void while yield",
    ..BRACES
};

const SWIFT: Language = Language {
    long: &["\"\"\""],
    words: "actor as async await break case catch class continue default defer do else enum \
            extension false for func guard if import in init inout internal is let nil open \
            operator private protocol public repeat rethrows return self Self static struct super \
            switch throw throws true try typealias var where while",
    ..BRACES
};

const STYLE: Language = Language { line: &[], words: "important media import", ..BRACES };

const PYTHON: Language = Language {
    line: &["#"],
    long: &["\"\"\"", "'''"],
    words: "and as assert async await break case class continue def del elif else except False \
            finally for from global if import in is lambda match None nonlocal not or pass raise \
            return True try while with yield",
    ..PLAIN
};

const RUBY: Language = Language {
    line: &["#"],
    words: "alias and begin break case class def defined do else elsif end ensure false for if in \
            module next nil not or redo require rescue retry return self super then true undef \
            unless until when while yield",
    ..PLAIN
};

const SHELL: Language = Language {
    line: &["#"],
    words: "case do done elif else esac exit export fi for function if in local return set shift \
            then trap unset until while",
    ..PLAIN
};

const SQL: Language = Language {
    line: &["--"],
    block: Some(("/*", "*/")),
    words: "ADD ALTER AND AS ASC BEGIN BY CASE COMMIT CREATE DEFAULT DELETE DESC DISTINCT DROP ELSE \
            END EXISTS FOREIGN FROM GROUP HAVING IN INDEX INNER INSERT INTO IS JOIN KEY LEFT LIKE \
            LIMIT NOT NULL ON OR ORDER PRIMARY REFERENCES ROLLBACK SELECT SET TABLE THEN UNION \
            UNIQUE UPDATE VALUES VIEW WHEN WHERE WITH add alter and as asc begin by case commit \
            create default delete desc distinct drop else end exists foreign from group having in \
            index inner insert into is join key left like limit not null on or order primary \
            references rollback select set table then union unique update values view when where \
            with",
    ..PLAIN
};

const LUA: Language = Language {
    line: &["--"],
    words: "and break do else elseif end false for function goto if in local nil not or repeat \
            return then true until while",
    ..PLAIN
};

const CONFIG: Language =
    Language { line: &["#"], long: &["\"\"\""], words: "true false null yes no on off", ..PLAIN };

const JSON: Language = Language { quotes: "\"", words: "true false null", ..PLAIN };

const MARKUP: Language = Language { block: Some(("<!--", "-->")), quotes: "\"", ..PLAIN };

/// Returns the language of a file by its name; nothing for what is prose, or not known.
pub fn of(path: &str) -> Option<&'static Language> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let ending = match name.as_str() {
        "dockerfile" | "makefile" | "justfile" | "gemfile" | "rakefile" => name.as_str(),
        _ => name.rsplit_once('.')?.1,
    };
    Some(match ending {
        "rs" => &RUST,
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "cu" | "cuh" | "m" | "cs" | "proto"
        | "zig" => &C,
        "go" => &GO,
        "java" | "kt" | "kts" | "scala" | "groovy" | "gradle" | "dart" => &JAVA,
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "vue" | "svelte" | "php" => &SCRIPT,
        "swift" => &SWIFT,
        "css" | "scss" | "less" => &STYLE,
        "py" | "pyi" | "pyx" => &PYTHON,
        "rb" | "gemfile" | "rakefile" | "ex" | "exs" | "jl" => &RUBY,
        "sh" | "bash" | "zsh" | "fish" | "dockerfile" | "makefile" | "justfile" | "mk" => &SHELL,
        "sql" => &SQL,
        "lua" | "hs" => &LUA,
        "toml" | "yaml" | "yml" | "ini" | "cfg" | "conf" | "tf" | "hcl" | "nix" => &CONFIG,
        "json" | "jsonl" => &JSON,
        "html" | "htm" | "xml" | "svg" => &MARKUP,
        _ => return None,
    })
}
