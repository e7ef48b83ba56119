//! A tool call in one line.

use serde_json::Value;

use crate::stdx::text::one_line;

/// The longest summary, in characters; what is cut off ends in `…`.
pub const SUMMARY_MAX: usize = 200;

/// Returns what the tool is asked to do, for people. `cwd` shortens the paths below it.
pub fn tool_call(tool: &str, input: &Value, cwd: Option<&str>) -> String {
    let text = |key: &str| input.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
    let summary = match tool {
        "Bash" | "PowerShell" | "Monitor" => text("command").map(str::to_owned),
        "Edit" | "MultiEdit" | "Write" | "Read" | "NotebookEdit" => {
            text("file_path").or_else(|| text("notebook_path")).map(|it| inside(it, cwd).to_owned())
        }
        "Glob" | "Grep" => text("pattern").map(|pattern| match text("path") {
            Some(path) => format!("{pattern} in {}", inside(path, cwd)),
            None => pattern.to_owned(),
        }),
        "WebFetch" => text("url").map(str::to_owned),
        "WebSearch" | "ToolSearch" => text("query").map(str::to_owned),
        "Task" | "Agent" => text("description").or_else(|| text("prompt")).map(str::to_owned),
        "Skill" => text("skill").or_else(|| text("command")).map(str::to_owned),
        "AskUserQuestion" => questions(input),
        "ExitPlanMode" => Some(text("plan").map_or_else(String::new, first_line)),
        _ => None,
    };
    let summary = summary.unwrap_or_else(|| match input {
        Value::Null => String::new(),
        Value::Object(it) if it.is_empty() => String::new(),
        other => other.to_string(),
    });
    one_line(&summary, SUMMARY_MAX)
}

/// Returns the choices of an AskUserQuestion call, in the order shown. With several questions
/// each choice is preceded by its question's header.
pub fn choices(input: &Value) -> Vec<String> {
    let questions = input.get("questions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut out = Vec::new();
    for question in questions {
        let header = question.get("header").and_then(Value::as_str).unwrap_or("?");
        for label in labels(question) {
            let label = one_line(label, SUMMARY_MAX);
            out.push(match questions.len() {
                1 => label,
                _ => format!("{}: {label}", one_line(header, 40)),
            });
        }
    }
    out
}

/// Returns the labels of one question's options.
pub fn labels(question: &Value) -> Vec<&str> {
    let options = question.get("options").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    options
        .iter()
        .filter_map(|it| it.get("label").and_then(Value::as_str).or_else(|| it.as_str()))
        .collect()
}

fn questions(input: &Value) -> Option<String> {
    let questions = input.get("questions")?.as_array()?;
    let texts: Vec<String> = questions
        .iter()
        .map(|it| {
            let text = it.get("question").and_then(Value::as_str).unwrap_or("?");
            format!("{text} [{}]", labels(it).join(" | "))
        })
        .collect();
    Some(texts.join(" · "))
}

/// The first line that says something, without Markdown's heading marks.
fn first_line(text: &str) -> String {
    let line = text.lines().map(|it| it.trim_start_matches('#').trim()).find(|it| !it.is_empty());
    line.unwrap_or_default().to_owned()
}

fn inside<'a>(path: &'a str, cwd: Option<&str>) -> &'a str {
    cwd.map(|it| it.trim_end_matches('/'))
        .and_then(|cwd| path.strip_prefix(cwd)?.strip_prefix('/'))
        .filter(|it| !it.is_empty())
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_tool_is_summed_up_by_what_matters() {
        let question = json!({"questions": [{"question": "Which?", "header": "H",
            "options": [{"label": "Red", "description": "r"}, {"label": "Blue"}]}]});
        let cases = [
            (
                "Bash",
                json!({"command": "cargo test\n--all", "description": "d"}),
                "cargo test --all",
            ),
            ("Edit", json!({"file_path": "/w/src/a.rs"}), "src/a.rs"),
            ("Read", json!({"file_path": "/workshop/a.rs"}), "/workshop/a.rs"),
            ("Grep", json!({"pattern": "fn x", "path": "/w/src"}), "fn x in src"),
            ("WebFetch", json!({"url": "https://a.b/c"}), "https://a.b/c"),
            ("Agent", json!({"description": "look", "prompt": "long"}), "look"),
            ("AskUserQuestion", question.clone(), "Which? [Red | Blue]"),
            ("ExitPlanMode", json!({"plan": "\n# The plan\n1. do"}), "The plan"),
            ("ExitPlanMode", json!({}), ""),
            ("mcp__x__y", json!({"b": 1, "a": [2]}), "{\"a\":[2],\"b\":1}"),
            ("Bash", json!({"command": 7}), "{\"command\":7}"),
            ("Bash", json!(null), ""),
        ];
        for (tool, input, want) in cases {
            assert_eq!(tool_call(tool, &input, Some("/w/")), want, "{tool} {input}");
        }
        assert_eq!(choices(&question), ["Red", "Blue"]);
    }
}
