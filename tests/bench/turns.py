"""Turns of the real Claude Code, against a Messages API that answers by rote: so many tool calls,
then a word. It knows where a turn is from the conversation alone, and when each request came."""

import http.server
import json
import math
import os
import re
import threading
import time

# Tool calls in a turn: each writes a new file, so that there is something to save.
CALLS = 5

# What the prompt of a turn says.
TURN = re.compile(r"turn number (\d+) in (\S+)")


class Api:
    """The API, on a port of its own."""

    def __init__(self):
        self.ended = {}
        self.changed = threading.Condition()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                self.answer({})

            def do_GET(self):
                self.answer({"data": [], "has_more": False})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
                if self.path.startswith("/v1/messages/count_tokens"):
                    self.answer({"input_tokens": 1000})
                elif self.path.startswith("/v1/messages"):
                    self.message(body)
                else:
                    self.answer({})

            def message(self, body):
                blocks, turn = step(body)
                if body.get("stream"):
                    self.stream(body, blocks)
                else:
                    self.answer(message(body, blocks))
                if turn is not None:
                    with api.changed:
                        api.ended[turn] = time.time()
                        api.changed.notify_all()

            def stream(self, body, blocks):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for event in events(body, blocks):
                    line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                    self.wfile.write(line.encode())
                self.wfile.flush()
                self.close_connection = True

            def answer(self, value):
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, turn, limit=60):
        """Returns when the last answer of a turn was sent."""
        with self.changed:
            if not self.changed.wait_for(lambda: turn in self.ended, limit):
                raise RuntimeError(f"waited {limit} s for the end of {turn}")
            return self.ended[turn]


def text_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(it.get("text", "") for it in content if it.get("type") == "text")


def step(body):
    """Returns the blocks that answer a request, and which turn they end."""
    if not body.get("tools"):
        return [{"type": "text", "text": '{"title": "Turns"}'}], None
    done = 0
    for said in reversed(body.get("messages", [])):
        if said["role"] == "assistant":
            done += 1
        elif said["role"] == "user":
            found = TURN.findall(text_of(said["content"]))
            if found:
                number, where = found[-1]
                return turn_step(int(number), where, done)
    return [{"type": "text", "text": "Hello."}], None


def turn_step(number, where, done):
    if done < CALLS:
        name = f"{where}/notes/{number}-{done}.txt"
        text = f"Note {done} of turn {number}.\n" * 20
        call = {"type": "tool_use", "id": f"toolu_{number}_{done}", "name": "Write",
                "input": {"file_path": name, "content": text}}
        return [{"type": "text", "text": "Writing."}, call], None
    return [{"type": "text", "text": "Done."}], (number, where)


def message(body, blocks):
    calls = any(it["type"] == "tool_use" for it in blocks)
    return {"id": f"msg_{time.time_ns()}", "type": "message", "role": "assistant",
            "model": body.get("model", "fake"), "content": blocks,
            "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 12, "cache_creation_input_tokens": 200,
                      "cache_read_input_tokens": 14000, "output_tokens": 50}}


def events(body, blocks):
    whole = message(body, blocks)
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            empty, delta = {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            text = json.dumps(block["input"])
            empty, delta = {"input": {}}, {"type": "input_json_delta", "partial_json": text}
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "usage": whole["usage"],
           "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}}
    yield {"type": "message_stop"}


class Talk:
    """A session of the real Claude Code on a workspace, to which prompts are sent."""

    def __init__(self, dispatch, bench, api, claude, name):
        self.dispatch, self.api, self.name, self.number = dispatch, api, name, 0
        self.workspace = bench.disk / "workspace"
        (bench.dir / "bin/claude").symlink_to(claude)
        toml = bench.dir / "config/parhelia/parhelia.toml"
        toml.write_text(toml.read_text().replace(bench.agent, str(bench.dir / "bin/claude")))
        env = {**bench.env, "ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_AUTH_TOKEN": "none",
               "PATH": f"{bench.dir}/bin:{os.environ['PATH']}",
               "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
               "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1"}
        bench.env.update(env)
        bench.start()
        self.http = dispatch.Http(bench)
        # Turns one by one, of which the first says hello to a new conversation.
        made = self.http.create(bench, self.prompt(), isolation="none", caller_env=env, env={},
                                permission_mode="acceptEdits", workspace=str(self.workspace),
                                interactive=True)
        self.task = made["id"]
        api.wait((self.number, str(self.workspace)), 120)
        self.ended()

    def prompt(self):
        self.number += 1
        return f"This is turn number {self.number} in {self.workspace}"

    def ended(self):
        """Waits until Parhelia knows that the turn is over, and the session takes a prompt."""
        over = lambda it: it["turns"] >= self.number and it["activity"] == "idle"
        self.dispatch.wait_until(
            f"the end of turn {self.number}, {self.name}",
            lambda: over(self.http.get(f"/v1/tasks/{self.task}")), 60, 0.005)

    def turn(self):
        """Has one turn, and returns how long it took: from the prompt to the last answer."""
        text = self.prompt()
        begin = time.time()
        self.http.send("POST", f"/v1/tasks/{self.task}/prompt", {"text": text})
        end = self.api.wait((self.number, str(self.workspace)))
        self.ended()
        return end - begin

    def settle(self):
        """Waits until nothing is being saved any more."""
        if self.name == "with":
            self.dispatch.wait_until(
                "the last checkpoint in the vault",
                lambda: all(it["stored_bytes"] is not None for it in self.list()), 120, 0.1)
        time.sleep(1)

    def list(self):
        return self.http.get(f"/v1/checkpoints?task={self.task}&limit=1000")["checkpoints"]

    def checkpoints(self):
        return len(self.list())


def rank_sum(ours, theirs):
    """Returns how far the ranks of two samples are from those of two alike ones, in deviations."""
    ranked = sorted([(it, 0) for it in ours] + [(it, 1) for it in theirs])
    total = sum(rank for rank, (_, side) in enumerate(ranked, 1) if side == 0)
    n, m = len(ours), len(theirs)
    return (total - n * (n + m + 1) / 2) / math.sqrt(n * m * (n + m + 1) / 12)
