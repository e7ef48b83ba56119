-- A store as schema 1 wrote it. Not to be changed once that schema was released.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, created_at INTEGER NOT NULL,
    priority INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, task TEXT NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_by_task ON events (task, seq);
CREATE TABLE offsets (
    task TEXT NOT NULL, file TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (task, file)
) WITHOUT ROWID;
CREATE TABLE prompts (
    task TEXT NOT NULL, ordinal INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (task, ordinal)
);
CREATE TABLE answers (task TEXT PRIMARY KEY, body BLOB NOT NULL);
PRAGMA application_id = 1348563560;
PRAGMA user_version = 1;
INSERT INTO meta VALUES ('dispatcher_id', 'abcdefgh'), ('clean', '0');
INSERT INTO tasks VALUES ('task-aaaaaaab', 'CREATED', 1700000000000, 0, '{
    "id": "task-aaaaaaab", "name": "after 2", "created_at": 1700000000000,
    "prompt_head": "do it", "prompt_bytes": 5,
    "spec": {
        "kind": "generic", "requirements": {"gpu": null, "memory_gb": null, "cpu": null},
        "target": null, "workspace": "/w", "isolation": "worktree", "include_dirty": true,
        "interactive": false, "timeout": null, "idle_timeout": null,
        "permission_mode": "acceptEdits", "model": null, "max_cost": null, "priority": 0,
        "env_names": []
    },
    "state": {"state": "created"}, "attempts": 0, "place": null, "conversation": null,
    "next": {"next": "fresh"},
    "usage": {
        "model": 0, "meter": {"readings": []},
        "tokens": {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0},
        "last_message": null, "turns": 0, "context_percent": null,
        "lines_added": 0, "lines_removed": 0
    },
    "last": "", "answer_bytes": null
}');
INSERT INTO events VALUES
    (1, 1, 'task-aaaaaaab', 'noted', '{"event": "noted", "text": "x"}'),
    (2, 2, 'task-aaaaaaab', 'noted', '{"event": "noted", "text": "x"}');
INSERT INTO offsets VALUES ('task-aaaaaaab', 'events.jsonl', 2);
INSERT INTO prompts VALUES ('task-aaaaaaab', 0, x'646f206974');
