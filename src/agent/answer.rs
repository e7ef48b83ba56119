//! From a person's words to the decision that a waiting PermissionRequest hook prints.

use serde_json::{Map, Value, json};

use crate::{
    agent::{hooks, summary::labels},
    domain::ask::{Ask, AskKind},
};

/// What the model is told when a person says no without saying why.
const NO_REASON: &str = "The person in charge said no, without giving a reason.";

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The JSON for the hook, in one line, for [`crate::agent::launch::RunDir::answer`].
    pub decision: String,
    /// What it comes to, in words, for the event log.
    pub said: String,
}

/// Words that are no answer, with what would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The words do not fit the question.
    #[error("`{words}` is no answer: {possible}")]
    NotAnAnswer {
        /// What was said.
        words: String,
        /// What can be said.
        possible: String,
    },
    /// There are several questions and not as many answers.
    #[error("{given} answers were given to {asked} questions; separate them with `;`")]
    Count {
        /// Answers.
        given: usize,
        /// Questions.
        asked: usize,
    },
    /// The request behind a question cannot be read, and Claude wants it back with the answer.
    #[error("the question cannot be read any more; answer it on the screen")]
    NoRequest,
}

/// Returns the decision for `words`. `request` is the content of
/// [`crate::agent::launch::RunDir::request`]: Claude ignores an answer to a question or a plan that
/// does not bring back what was asked.
///
/// - Permission: `yes`, or `no` and optionally why. Claude goes on after a no.
/// - Plan: `yes`, `yes edits` to accept edits from then on, or `no` and what to change.
/// - Question: an option's number or label, or free text; several of them separated by commas
///   where several may be chosen; one for each of several questions separated by `;`. `deny` and
///   optionally a message refuses to answer.
///
/// # Errors
///
/// [`AnswerError`] says what is possible.
pub fn decide(ask: &Ask, request: &[u8], words: &str) -> Result<Answer, AnswerError> {
    let words = words.trim();
    match ask.kind {
        AskKind::Permission => match Verdict::of(words) {
            Some(Verdict::Yes { rest: "" }) => {
                Ok(answer(json!({"behavior": "allow"}), "allowed".into()))
            }
            Some(Verdict::No { message }) => Ok(deny(message)),
            _ => Err(no_answer(words, "say `yes`, or `no` and optionally why")),
        },
        AskKind::Plan => plan(request, words),
        AskKind::Question => question(request, words),
    }
}

enum Verdict<'a> {
    Yes { rest: &'a str },
    No { message: &'a str },
}

impl Verdict<'_> {
    fn of(words: &str) -> Option<Verdict<'_>> {
        let (first, rest) = match words.split_once(char::is_whitespace) {
            Some((first, rest)) => (first, rest.trim()),
            None => (words, ""),
        };
        match first.trim_end_matches([',', ':', '.']).to_ascii_lowercase().as_str() {
            "yes" | "y" | "allow" | "ok" | "approve" => Some(Verdict::Yes { rest }),
            "no" | "n" | "deny" | "reject" => Some(Verdict::No { message: rest }),
            _ => None,
        }
    }
}

fn plan(request: &[u8], words: &str) -> Result<Answer, AnswerError> {
    let possible = "say `yes`, `yes edits` to accept edits too, or `no` and what to change";
    let edits = match Verdict::of(words) {
        Some(Verdict::No { message }) => return Ok(deny(message)),
        Some(Verdict::Yes { rest: "" }) => false,
        Some(Verdict::Yes { rest }) => match rest.to_ascii_lowercase().replace(['-', ' '], "") {
            it if matches!(it.as_str(), "edits" | "acceptedits") => true,
            _ => return Err(no_answer(words, possible)),
        },
        None => return Err(no_answer(words, possible)),
    };
    let (_, input) = hooks::request(request).ok_or(AnswerError::NoRequest)?;
    let input = if input.is_object() { input } else { json!({}) };
    let mut decision = json!({"behavior": "allow", "updatedInput": input});
    if edits {
        decision["updatedPermissions"] =
            json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]);
    }
    let said = if edits { "approved the plan, accepting edits" } else { "approved the plan" };
    Ok(answer(decision, said.into()))
}

fn question(request: &[u8], words: &str) -> Result<Answer, AnswerError> {
    let (_, input) = hooks::request(request).ok_or(AnswerError::NoRequest)?;
    let questions = input.get("questions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if questions.is_empty() {
        return Err(AnswerError::NoRequest);
    }
    let is_label = |it: &Value| labels(it).iter().any(|it| it.eq_ignore_ascii_case(words));
    let refusal = words.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("deny"))
        && words.get(4..).is_some_and(|it| it.is_empty() || it.starts_with([' ', ',', ':']))
        && !questions.iter().any(is_label);
    if refusal {
        return Ok(deny(words.get(4..).unwrap_or_default().trim_matches([' ', ',', ':'])));
    }
    let parts: Vec<&str> = match questions {
        [_] => vec![words],
        _ => words.split([';', '\n']).map(str::trim).collect(),
    };
    if parts.len() != questions.len() {
        return Err(AnswerError::Count { given: parts.len(), asked: questions.len() });
    }
    let mut answers = Map::new();
    let mut said = Vec::new();
    for (question, part) in questions.iter().zip(parts) {
        let text = question.get("question").and_then(Value::as_str).unwrap_or_default();
        let chosen = choose(question, part)?;
        said.push(chosen.clone());
        answers.insert(text.to_owned(), Value::String(chosen));
    }
    let mut input = input.clone();
    input["answers"] = Value::Object(answers);
    let decision = json!({"behavior": "allow", "updatedInput": input});
    Ok(answer(decision, said.join("; ")))
}

/// Returns the answer to one question: an option by number or label, several of them, or the
/// words as they are.
fn choose(question: &Value, words: &str) -> Result<String, AnswerError> {
    let labels = labels(question);
    let listed = || {
        let numbered: Vec<String> =
            labels.iter().enumerate().map(|(n, it)| format!("{} {it}", n + 1)).collect();
        format!("choose one of {}, or answer in words", numbered.join(", "))
    };
    if words.is_empty() {
        return Err(no_answer(words, &listed()));
    }
    let one = |word: &str| -> Option<&str> {
        let word = word.trim();
        let exact = labels.iter().find(|it| it.eq_ignore_ascii_case(word)).copied();
        exact.or_else(|| labels.get(word.parse::<usize>().ok()?.checked_sub(1)?).copied())
    };
    if let Some(label) = one(words) {
        return Ok(label.to_owned());
    }
    if words.bytes().all(|b| b.is_ascii_digit()) && !labels.is_empty() {
        return Err(no_answer(words, &listed()));
    }
    if question.get("multiSelect").and_then(Value::as_bool) == Some(true) {
        let chosen: Option<Vec<&str>> = words.split(',').map(one).collect();
        if let Some(chosen) = chosen {
            return Ok(chosen.join(", "));
        }
    }
    Ok(words.to_owned())
}

fn deny(message: &str) -> Answer {
    let text = if message.is_empty() { NO_REASON } else { message };
    let said = if message.is_empty() { "denied".into() } else { format!("denied: {message}") };
    answer(json!({"behavior": "deny", "message": text}), said)
}

fn answer(decision: Value, said: String) -> Answer {
    let output = json!({
        "hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}
    });
    Answer { decision: output.to_string(), said }
}

fn no_answer(words: &str, possible: &str) -> AnswerError {
    AnswerError::NotAnAnswer {
        words: crate::stdx::text::one_line(words, 80),
        possible: possible.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: AskKind) -> Ask {
        Ask {
            id: "main.1".into(),
            kind,
            tool: "T".into(),
            summary: String::new(),
            options: Vec::new(),
            agent: None,
        }
    }

    fn decided(kind: AskKind, input: &str, words: &str) -> Result<Value, AnswerError> {
        let request = format!("{{\"payload\":{{\"tool_name\":\"T\",\"tool_input\":{input}}}}}");
        let answer = decide(&ask(kind), request.as_bytes(), words)?;
        assert!(!answer.decision.contains('\n'), "the hook reads one line");
        let value: Value = serde_json::from_str(&answer.decision).unwrap();
        assert_eq!(value["hookSpecificOutput"]["hookEventName"], "PermissionRequest");
        Ok(value["hookSpecificOutput"]["decision"].clone())
    }

    #[test]
    fn permissions_take_yes_and_no() {
        for yes in ["yes", " Y ", "allow", "ok"] {
            let want = json!({"behavior": "allow"});
            assert_eq!(decided(AskKind::Permission, "{}", yes), Ok(want), "{yes}");
        }
        assert_eq!(
            decided(AskKind::Permission, "{}", "no, not\nnow"),
            Ok(json!({"behavior": "deny", "message": "not\nnow"}))
        );
        assert_eq!(
            decided(AskKind::Permission, "{}", "deny"),
            Ok(json!({"behavior": "deny", "message": NO_REASON}))
        );
        // A number means something else in each dialog, and `yes, but` is not yes.
        for bad in ["", "3", "yes but only once", "maybe"] {
            assert!(decided(AskKind::Permission, "{}", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plans_bring_back_what_was_planned() {
        assert_eq!(
            decided(AskKind::Plan, "{\"plan\":\"p\"}", "yes edits"),
            Ok(json!({
                "behavior": "allow",
                "updatedInput": {"plan": "p"},
                "updatedPermissions":
                    [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]
            }))
        );
        let plain = decided(AskKind::Plan, "null", "yes").unwrap();
        assert_eq!(plain, json!({"behavior": "allow", "updatedInput": {}}));
        assert_eq!(decided(AskKind::Plan, "{}", "no add tests").unwrap()["message"], "add tests");
        assert!(decided(AskKind::Plan, "{}", "yes please").is_err());
    }

    #[test]
    fn questions_take_numbers_labels_and_words() {
        let colour = r#"{"question":"Which?","header":"C","multiSelect":false,
            "options":[{"label":"Red"},{"label":"No"}]}"#;
        let tops = r#"{"question":"Tops?","header":"T","multiSelect":true,
            "options":[{"label":"Ham"},{"label":"Nut"}]}"#;
        let one = format!("{{\"questions\":[{colour}]}}");
        let two = format!("{{\"questions\":[{colour},{tops}]}}");
        let answers = |input: &str, words: &str| {
            decided(AskKind::Question, input, words).map(|it| it["updatedInput"]["answers"].clone())
        };
        assert_eq!(answers(&one, "1"), Ok(json!({"Which?": "Red"})));
        assert_eq!(answers(&one, "red"), Ok(json!({"Which?": "Red"})));
        assert_eq!(answers(&one, "no"), Ok(json!({"Which?": "No"})));
        assert_eq!(answers(&one, "ü; a, b"), Ok(json!({"Which?": "ü; a, b"})));
        assert_eq!(answers(&two, "2; 1,nut"), Ok(json!({"Which?": "No", "Tops?": "Ham, Nut"})));
        assert_eq!(answers(&two, "1"), Err(AnswerError::Count { given: 1, asked: 2 }));
        assert!(matches!(answers(&one, "7"), Err(AnswerError::NotAnAnswer { .. })));
        assert!(answers(&one, "").is_err());
        let kept = decided(AskKind::Question, &one, "1").unwrap();
        assert_eq!(kept["updatedInput"]["questions"][0]["question"], "Which?");
        let refused = decided(AskKind::Question, &one, "deny: later").unwrap();
        assert_eq!(refused, json!({"behavior": "deny", "message": "later"}));
        assert_eq!(decided(AskKind::Question, "{}", "1"), Err(AnswerError::NoRequest));
    }
}
