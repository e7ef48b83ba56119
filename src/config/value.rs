//! How the types of settings are read and shown.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Value as Json, json};

use crate::{
    config::raw::Value,
    domain::{
        budget::OnExceeded,
        checkpoint::Trigger,
        task::{Gpu, Isolation, PermissionMode, TaskKind},
        usd::Usd,
    },
    stdx::{
        secret::{REDACTED, Secret},
        time::parse_duration,
    },
};

/// The word for "no limit" where a setting has no other way to say so.
const NONE: &str = "none";

/// A type that a setting can have.
pub trait Field: Sized {
    /// Reads a value; the error follows the key in a sentence.
    ///
    /// # Errors
    ///
    /// Returns what was expected.
    fn read(value: &Value) -> Result<Self, String>;

    /// Returns the value as it is shown, with nothing secret in it.
    fn show(&self) -> Json;
}

/// A program with its arguments. The arguments may hold a token or a URL that is one, so only
/// the program is ever shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program: a name to be searched for, or a path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<Secret>,
}

/// A part of a whole, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fraction(pub f64);

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    /// Wraps `name` if it can be one.
    ///
    /// # Errors
    ///
    /// Returns what is wrong; the text itself is not repeated, since a misplaced `NAME=value`
    /// holds a secret.
    pub fn new(name: &str) -> Result<EnvName, String> {
        let mut chars = name.chars();
        let ok = chars.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_')
            && chars.all(|it| it.is_ascii_alphanumeric() || it == '_');
        if ok {
            Ok(EnvName(name.to_owned()))
        } else if name.contains('=') {
            Err("takes names only; the value comes from your environment".into())
        } else {
            Err("holds a name that no environment variable can have".into())
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn expected(what: &str, value: &Value) -> String {
    format!("expects {what}, found {}", value.sort())
}

impl Field for bool {
    fn read(value: &Value) -> Result<bool, String> {
        match value {
            Value::Bool(it) => Ok(*it),
            _ => Err(expected("true or false", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

impl Field for u32 {
    fn read(value: &Value) -> Result<u32, String> {
        match value {
            Value::Integer(it) => {
                u32::try_from(*it).map_err(|_| format!("expects a whole number from 0, found {it}"))
            }
            _ => Err(expected("a whole number", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

impl Field for i32 {
    fn read(value: &Value) -> Result<i32, String> {
        match value {
            Value::Integer(it) => i32::try_from(*it).map_err(|_| format!("{it} is out of range")),
            _ => Err(expected("a whole number", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

impl Field for String {
    fn read(value: &Value) -> Result<String, String> {
        match value {
            Value::Text(it) if it.chars().any(char::is_control) => {
                Err("holds a control character".into())
            }
            Value::Text(it) => Ok(it.clone()),
            _ => Err(expected("text", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

/// Empty text stands for nothing.
impl Field for Option<String> {
    fn read(value: &Value) -> Result<Option<String>, String> {
        let text = String::read(value)?;
        Ok((!text.trim().is_empty()).then_some(text))
    }

    fn show(&self) -> Json {
        json!(self.as_deref().unwrap_or_default())
    }
}

impl Field for Option<u32> {
    fn read(value: &Value) -> Result<Option<u32>, String> {
        match value {
            Value::Text(it) if it == NONE => Ok(None),
            Value::Integer(_) => u32::read(value).map(Some),
            _ => Err(expected("a whole number or \"none\"", value)),
        }
    }

    fn show(&self) -> Json {
        self.map_or(json!(NONE), |it| json!(it))
    }
}

impl Field for Usd {
    fn read(value: &Value) -> Result<Usd, String> {
        let amount = match value {
            Value::Integer(it) => Usd::from_dollars(*it as f64),
            Value::Float(it) => Usd::from_dollars(*it),
            Value::Text(it) => return it.parse(),
            _ => return Err(expected("an amount in US dollars", value)),
        };
        amount.filter(|it| Usd::ZERO <= *it).ok_or_else(|| "expects an amount from 0 up".into())
    }

    fn show(&self) -> Json {
        json!(self.dollars())
    }
}

impl Field for Option<Usd> {
    fn read(value: &Value) -> Result<Option<Usd>, String> {
        match value {
            Value::Text(it) if it == NONE => Ok(None),
            Value::Integer(_) | Value::Float(_) | Value::Text(_) => Usd::read(value).map(Some),
            _ => Err(expected("an amount in US dollars or \"none\"", value)),
        }
    }

    fn show(&self) -> Json {
        self.map_or(json!(NONE), |it| it.show())
    }
}

impl Field for Option<Duration> {
    fn read(value: &Value) -> Result<Option<Duration>, String> {
        let duration = match value {
            Value::Text(it) if it == NONE => return Ok(None),
            Value::Text(it) => parse_duration(it),
            Value::Integer(it) => parse_duration(&it.to_string()),
            _ => return Err(expected("a duration such as \"4h\", seconds, or \"none\"", value)),
        };
        let duration = duration.map_err(|it| format!("has an invalid duration: {it}"))?;
        if duration.is_zero() {
            return Err("cannot be 0; write \"none\" for no limit".into());
        }
        Ok(Some(duration))
    }

    fn show(&self) -> Json {
        self.map_or(json!(NONE), |it| json!(exact(it)))
    }
}

/// Returns `duration` in the largest unit that loses nothing.
fn exact(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        _ if secs.is_multiple_of(86_400) && 86_400 < secs => format!("{}d", secs / 86_400),
        _ if secs.is_multiple_of(3600) => format!("{}h", secs / 3600),
        _ if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}

impl Field for Fraction {
    fn read(value: &Value) -> Result<Fraction, String> {
        let number = match value {
            Value::Float(it) => *it,
            Value::Integer(0) => 0.0,
            Value::Integer(1) => 1.0,
            Value::Integer(it) => return Err(format!("expects 0 to 1, found {it}")),
            _ => return Err(expected("a number from 0 to 1", value)),
        };
        if (0.0..=1.0).contains(&number) {
            Ok(Fraction(number))
        } else {
            Err(format!("expects 0 to 1, found {number}"))
        }
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: &Value) -> Result<Vec<T>, String> {
        match value {
            Value::List(items) => items.iter().map(T::read).collect(),
            _ => Err(expected("a list", value)),
        }
    }

    fn show(&self) -> Json {
        self.iter().map(T::show).collect()
    }
}

impl Field for BTreeMap<String, String> {
    fn read(value: &Value) -> Result<BTreeMap<String, String>, String> {
        match value {
            Value::Table(entries) => {
                entries.iter().map(|it| Ok((it.key.clone(), String::read(&it.value)?))).collect()
            }
            _ => Err(expected("a table", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self)
    }
}

impl Field for EnvName {
    fn read(value: &Value) -> Result<EnvName, String> {
        match value {
            Value::Text(it) => EnvName::new(it),
            _ => Err(expected("names", value)),
        }
    }

    fn show(&self) -> Json {
        json!(self.0)
    }
}

impl Field for CommandLine {
    fn read(value: &Value) -> Result<CommandLine, String> {
        let words = match value {
            Value::Text(it) if it.contains(char::is_whitespace) => {
                return Err(
                    "expects a program; write a list to pass arguments, as in [\"nice\", \"claude\"]"
                        .into(),
                );
            }
            Value::Text(_) => vec![String::read(value)?],
            // An argument may hold line breaks, a program's name may not.
            Value::List(items) => items
                .iter()
                .map(|it| match it {
                    Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
                    Value::Text(_) => Err("holds a NUL character".to_owned()),
                    _ => Err(expected("text in the list", it)),
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(expected("a program or a list", value)),
        };
        let mut words = words.into_iter();
        match words.next() {
            Some(program)
                if !program.trim().is_empty() && !program.chars().any(char::is_control) =>
            {
                Ok(CommandLine { program, args: words.map(Secret::new).collect() })
            }
            _ => Err("names no program".into()),
        }
    }

    fn show(&self) -> Json {
        let args = self.args.iter().map(|_| REDACTED);
        std::iter::once(self.program.as_str()).chain(args).collect()
    }
}

/// An empty list or empty text stands for no command.
impl Field for Option<CommandLine> {
    fn read(value: &Value) -> Result<Option<CommandLine>, String> {
        match value {
            Value::Text(it) if it.is_empty() => Ok(None),
            Value::List(items) if items.is_empty() => Ok(None),
            _ => CommandLine::read(value).map(Some),
        }
    }

    fn show(&self) -> Json {
        self.as_ref().map_or(json!([]), CommandLine::show)
    }
}

macro_rules! word_fields {
    ($($name:ident),*) => {
        $(impl Field for $name {
            fn read(value: &Value) -> Result<$name, String> {
                match value {
                    Value::Text(it) => it.parse().map_err(|_| {
                        let all: Vec<&str> = $name::ALL.iter().map(|it| it.as_str()).collect();
                        format!("has no choice `{}`; use {}", it.escape_debug(), all.join(", "))
                    }),
                    _ => Err(expected("a word in quotes", value)),
                }
            }

            fn show(&self) -> Json {
                json!(self.as_str())
            }
        })*
    };
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every one, in the order shown.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                $name::ALL.iter().copied().find(|it| it.as_str() == text).ok_or_else(|| {
                    let all: Vec<&str> = $name::ALL.iter().map(|it| it.as_str()).collect();
                    format!("has no choice `{}`; use {}", text.escape_debug(), all.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// The dashboard's colours.
    Theme {
        /// By what the terminal says of its background.
        Auto = "auto",
        /// For a dark background.
        Dark = "dark",
        /// For a light background.
        Light = "light",
        /// Few colours, far apart, and bold text.
        HighContrast = "high-contrast",
        /// None.
        Plain = "plain",
    }
);

word_fields!(OnExceeded, Trigger, Theme, TaskKind, Gpu, Isolation, PermissionMode);
