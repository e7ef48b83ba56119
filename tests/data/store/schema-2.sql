-- A store as schema 2 wrote it. Not to be changed once that schema was released.
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
CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY, task TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX checkpoints_by_task ON checkpoints (task, at);
CREATE INDEX checkpoints_by_age ON checkpoints (at);
PRAGMA application_id = 1348563560;
PRAGMA user_version = 2;
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
    "last": "", "answer_bytes": null,
    "kept": {
        "count": 1, "failed": null,
        "last": {"id": "cp-aaaaaaaa", "at": 1700000001000, "trigger": "before-kill"}
    },
    "home": null, "origin": null
}');
INSERT INTO events VALUES
    (1, 1, 'task-aaaaaaab', 'noted', '{"event": "noted", "text": "x"}'),
    (2, 2, 'task-aaaaaaab', 'noted', '{"event": "noted", "text": "x"}');
INSERT INTO offsets VALUES ('task-aaaaaaab', 'events.jsonl', 2);
INSERT INTO prompts VALUES ('task-aaaaaaab', 0, x'646f206974');
INSERT INTO checkpoints VALUES ('cp-aaaaaaaa', 'task-aaaaaaab', 1700000001000, '{
    "id": "cp-aaaaaaaa", "task": "task-aaaaaaab", "task_name": "after 2", "at": 1700000001000,
    "trigger": "before-kill", "label": null, "pinned": true,
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "parent": null, "provider": "local",
    "workspace": "/w",
    "change": {"added": 1, "modified": 2, "deleted": 3, "lines_added": 4, "lines_removed": 5},
    "files": 6, "bytes": 7, "left_out": 8, "stored": 9, "damage": null, "conversation": "c",
    "branch": "main", "head": null, "turns": 10,
    "tokens": {"input": 11, "output": 12, "cache_read": 13, "cache_write": 14}, "cost": 15
}');
