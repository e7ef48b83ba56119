//! What was written: a file as keys and values with their positions.

use toml::de::{DeTable, DeValue};

use crate::config::error::Position;

/// The longest file in bytes; a longer one is refused. Settings take a few kilobytes.
pub const FILE_MAX: usize = 1024 * 1024;

/// Syntax errors reported of one file. After the first few the rest are mostly its echo.
const ERRORS_MAX: usize = 20;

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, without its section.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// Its value.
    pub value: Value,
}

/// A value as TOML knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Value>),
    /// A table, in the order written.
    Table(Vec<Entry>),
    /// What no setting takes, by its name: a date, or a number out of range.
    Other(&'static str),
}

impl Value {
    /// Returns what sort of value it is, fit to follow "found".
    pub fn sort(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(sort) => sort,
        }
    }
}

/// Reads a file's bytes.
///
/// # Errors
///
/// Returns what is wrong and where, all of it where the reader can go on after a mistake.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Vec<(Option<Position>, String)>> {
    if FILE_MAX < bytes.len() {
        return Err(vec![(None, "the file is longer than 1 MiB".into())]);
    }
    let text = std::str::from_utf8(bytes).map_err(|it| {
        let valid = String::from_utf8_lossy(&bytes[..it.valid_up_to()]).into_owned();
        let at = Lines::new(&valid).position(valid.len());
        vec![(Some(at), "the file is not UTF-8 text".into())]
    })?;
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(entries(table.get_ref(), &lines));
    }
    let mut problems: Vec<_> = errors
        .iter()
        .map(|it| {
            let what = match it.message() {
                it if it.contains("recurs") => "it is nested too deeply",
                message => message,
            };
            (it.span().map(|span| lines.position(span.start)), what.to_owned())
        })
        .collect();
    problems.sort();
    problems.dedup();
    problems.truncate(ERRORS_MAX);
    Err(problems)
}

fn entries(table: &DeTable<'_>, lines: &Lines<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, it)| Entry {
            key: key.get_ref().to_string(),
            at: lines.position(key.span().start),
            value: value(it.get_ref(), lines),
        })
        .collect();
    // The parser's map is sorted by name; problems are reported in the order of lines.
    entries.sort_by_key(|it| it.at);
    entries
}

/// The parser refuses values nested deeper than 80, so this ends.
fn value(value: &DeValue<'_>, lines: &Lines<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix())
            .map_or(Value::Other("a number out of range"), Value::Integer),
        DeValue::Float(it) => match it.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => Value::Other("a number out of range"),
        },
        DeValue::Boolean(it) => Value::Bool(*it),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|it| self::value(it.get_ref(), lines)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, lines)),
    }
}

/// Where the lines of a text begin, so that a position costs a search and not a scan.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(it, _)| it + 1));
        Lines { text, starts: starts.collect() }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|it| *it <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Position { line: number(line), column: number(before.chars().count() + 1) }
    }
}
