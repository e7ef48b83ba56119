//! The scripted API itself: what every test of a session stands on.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::support::{
    api::Api,
    wait::{PATIENCE, wait_until},
};

/// Returns a request whose conversation is `turns`, user first, and that may use tools.
fn request(turns: &[&str]) -> Value {
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<Value> = roles
        .zip(turns)
        .map(|(role, text)| json!({ "role": role, "content": [{ "type": "text", "text": text }] }))
        .collect();
    json!({ "model": "m", "messages": messages, "tools": [{ "name": "Bash" }] })
}

fn streamed(turns: &[&str]) -> Value {
    let mut body = request(turns);
    body["stream"] = json!(true);
    body
}

async fn send(api: &Api, body: &Value) -> reqwest::Response {
    let url = format!("{}/v1/messages?beta=true", api.url);
    reqwest::Client::new().post(url).json(body).send().await.unwrap()
}

async fn answer(api: &Api, body: &Value) -> Value {
    send(api, body).await.json().await.unwrap()
}

/// Returns the events of a stream and whether it ended as it should.
async fn events(response: reqwest::Response) -> (Vec<Value>, bool) {
    let mut chunks = response.bytes_stream();
    let (mut text, mut whole) = (Vec::new(), true);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(bytes) => text.extend(bytes),
            Err(_) => whole = false,
        }
    }
    let text = String::from_utf8(text).unwrap();
    let data = text.lines().filter_map(|it| it.strip_prefix("data: "));
    (data.map(|it| serde_json::from_str(it).unwrap()).collect(), whole)
}

fn said(events: &[Value]) -> String {
    events.iter().filter_map(|it| it["delta"]["text"].as_str()).collect()
}

#[tokio::test]
async fn the_newest_script_and_the_answers_after_it_choose_the_step() {
    let api = Api::start();
    let script = r#"FAKE:[{"text":"one"},{"text":"two"}]"#;
    for (turns, expected) in [
        (&["hello"][..], "Hello from the fake API."),
        (&[script], "one"),
        (&[script, "one", "go on"], "two"),
        (&[script, "one", "go on", "two", "go on"], "done."),
        (&[script, "one", "SCENARIO:badbash"], "Trying."),
        (&["SCENARIO:badbash", "Trying.", "and"], "It failed with 3."),
        (&["SCENARIO:unheard_of"], "no such scenario"),
        (&[r#"say FAKE:{"text":"only"} now"#], "only"),
    ] {
        // A last word of plain text stands for a tool's result here, which is no script.
        let mut body = request(turns);
        if 1 < turns.len() && !turns[turns.len() - 1].contains(':') {
            let last = turns.len() - 1;
            body["messages"][last]["content"] = json!([{ "type": "tool_result", "content": "x" }]);
        }
        assert_eq!(answer(&api, &body).await["content"][0]["text"], expected, "{turns:?}");
    }
    assert_eq!(api.turns().len(), 8);
}

#[tokio::test]
async fn system_messages_count_for_nothing() {
    let api = Api::start();
    let mut body = request(&[r#"FAKE:[{"text":"one"},{"text":"two"}]"#]);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "system", "content": "FAKE:[{\"text\":\"no\"}]" }));
    assert_eq!(answer(&api, &body).await["content"][0]["text"], "one");
}

#[tokio::test]
async fn a_request_without_tools_is_no_turn() {
    let api = Api::start();
    let mut body = request(&["SCENARIO:bash"]);
    body["tools"] = json!([]);
    assert_eq!(answer(&api, &body).await["content"][0]["text"], "ok");
    body["system"] = json!("Write a Title.");
    let text = r#"{"title": "Fake title"}"#;
    assert_eq!(answer(&api, &body).await["content"][0]["text"], text);
    assert_eq!((api.requests().len(), api.turns().len()), (2, 0));
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let api = Api::start();
    let script = r#"FAKE:[{"thinking":"hm","text":"a  b\nc","tool":"Bash",
        "input":{"command":"echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        "usage":{"input_tokens":99}}]"#;
    let whole = answer(&api, &request(&[script])).await;
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(
        whole["usage"],
        json!({
            "input_tokens": 99, "output_tokens": 70, "cache_creation_input_tokens": 1500,
            "cache_read_input_tokens": 0, "service_tier": "standard",
            "cache_creation":
                { "ephemeral_5m_input_tokens": 1500, "ephemeral_1h_input_tokens": 0 },
        })
    );
    let (events, complete) = events(send(&api, &streamed(&[script])).await).await;
    assert!(complete);
    assert_eq!(said(&events), "a  b\nc");
    let input: String =
        events.iter().filter_map(|it| it["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), whole["content"][2]["input"]);
    let end = &events[events.len() - 2];
    assert_eq!(
        (&end["usage"], &end["delta"]["stop_reason"]),
        (&whole["usage"], &json!("tool_use"))
    );
}

#[tokio::test]
async fn faults_are_as_the_script_says() {
    let api = Api::start();
    let script = r#"FAKE:[{"error":529,"retry_after":7,"times":2,"then":{"text":"recovered"}}]"#;
    for expected in [529, 529, 200] {
        let response = send(&api, &request(&[script])).await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers().contains_key("retry-after"), expected == 529);
    }
    let script = r#"FAKE:[{"error":[418,"teapot","short and stout"]}]"#;
    let body = answer(&api, &request(&[script])).await;
    assert_eq!(body["error"], json!({ "type": "teapot", "message": "short and stout" }));

    for (fault, complete) in [(r#""drop":true"#, false), (r#""stream_error":["t","m"]"#, true)] {
        let script = format!(r#"FAKE:[{{"text":"one two three four",{fault}}}]"#);
        let (events, whole) = events(send(&api, &streamed(&[&script])).await).await;
        assert_eq!((said(&events).as_str(), whole), ("one two ", complete), "{fault}");
        assert!(!events.iter().any(|it| it["type"] == "message_stop"), "{fault}");
    }
}

#[tokio::test]
async fn the_test_can_make_turns_fail() {
    let api = Api::start();
    api.fail_next(2, 500);
    for expected in [500, 500, 200] {
        assert_eq!(send(&api, &request(&["hello"])).await.status(), expected);
    }
    api.answer_all(json!({ "text": "same" }));
    assert_eq!(answer(&api, &request(&["SCENARIO:bash"])).await["content"][0]["text"], "same");
    api.follow_scripts();
    let text = &answer(&api, &request(&["SCENARIO:bash"])).await["content"][0]["text"];
    assert_eq!(text, "I'll write the file.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_holds_the_answer_until_it_is_opened() {
    let api = Api::start();
    let body = request(&[r#"FAKE:[{"text":"at last","gate":"a"}]"#]);
    let ask = || {
        let (url, body) = (format!("{}/v1/messages", api.url), body.clone());
        tokio::spawn(async move {
            let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
            response.json::<Value>().await.unwrap()
        })
    };
    let held = || tokio::task::block_in_place(|| api.wait_held("a", PATIENCE));
    let asking = ask();
    assert!(held().asks("at last"));
    assert!(!asking.is_finished());
    api.open("a");
    assert_eq!(asking.await.unwrap()["content"][0]["text"], "at last");
    // It stays open, until it is shut.
    assert_eq!(ask().await.unwrap()["content"][0]["text"], "at last");
    api.shut("a");
    let asking = ask();
    held();
    asking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_can_stand_in_the_middle_of_the_text() {
    let api = Api::start();
    let script = r#"FAKE:[{"text":"one two three","gate":"b","gate_after_words":2}]"#;
    let mut chunks = send(&api, &streamed(&[script])).await.bytes_stream();
    let mut text = String::new();
    while !text.contains("two") {
        text.push_str(str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
    }
    tokio::task::block_in_place(|| api.wait_held("b", PATIENCE));
    assert!(!text.contains("three"));
    api.open("b");
    while let Some(chunk) = chunks.next().await {
        text.push_str(str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert!(text.contains("three") && text.contains("message_stop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed() {
    let api = Api::start();
    for script in [
        r#"FAKE:[{"hang":true}]"#,
        r#"FAKE:[{"text":"never","gate":"c"}]"#,
        r#"FAKE:[{"text":"one two","gate":"c","gate_after_words":1}]"#,
    ] {
        let before = api.requests().len();
        let body = streamed(&[script]);
        let asking = tokio::spawn({
            let url = format!("{}/v1/messages", api.url);
            async move {
                let response = reqwest::Client::new().post(url).json(&body).send().await;
                response.unwrap().bytes().await
            }
        });
        let arrived = || (before < api.requests().len()).then_some(());
        tokio::task::block_in_place(|| {
            wait_until("the request", PATIENCE, arrived);
        });
        asking.abort();
        let left = || api.requests()[before].gone.then_some(());
        tokio::task::block_in_place(|| {
            wait_until("the client to be missed", PATIENCE, left);
        });
        assert_eq!(api.requests()[before].held, None);
    }
}

#[tokio::test]
async fn other_paths_are_sinks_or_unknown() {
    let api = Api::start();
    let client = reqwest::Client::new();
    for (path, expected) in [("/v1/logs", 200), ("/hook/stop", 200), ("/v1/else", 404)] {
        let url = format!("{}{path}", api.url);
        let response = client.post(url).json(&json!({ "a": 1 })).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    assert_eq!(client.head(&api.url).send().await.unwrap().status(), 200);
    let sunk = api.wait_for(|it| it.path == "/v1/logs", PATIENCE);
    assert_eq!((sunk.method.as_str(), &sunk.body), ("POST", &json!({ "a": 1 })));
    assert_eq!(sunk.headers["content-type"], "application/json");
}
