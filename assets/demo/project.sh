#!/bin/sh
# Makes the toy project of `parhelia demo` in the directory $1: a repository with one commit.
set -e
cd "$1"
mkdir -p src/auth src/http tests/e2e docs migrations

cat >README.md <<'END'
# harbour

A toy service of the Parhelia demo. Nothing here is meant to be built.

See docs/manual.md.
END

cat >Cargo.toml <<'END'
[package]
name = "harbour"
version = "0.3.0"
edition = "2024"
END

cat >src/lib.rs <<'END'
//! harbour: ships come in, ships go out.

pub mod auth;
pub mod http;
pub mod lexer;
END

cat >src/auth/mod.rs <<'END'
//! Who may enter the harbour.

pub mod session;
pub mod token;
END

cat >src/auth/session.rs <<'END'
//! Sessions of the harbour.

use harbour::auth::token::Token;

pub struct Session {
    token: Token,
}

impl Session {
    pub fn open() -> Session {
        Session { token: Token::fresh("harbour") }
    }

    /// Extends the session.
    pub fn refresh(&self) -> bool {
    let generation = self.generation();
        self.store(generation + 1)
    }

    /// Ends the session.
    pub fn revoke(&self) -> bool {
    let generation = self.generation();
        self.drop_all(generation)
    }
}
END

cat >src/auth/token.rs <<'END'
//! Tokens of the harbour.

pub struct Token(String);

impl Token {
    pub fn fresh(realm: &str) -> Token {
        Token(format!("{realm}-harbour"))
    }
}
END

cat >src/http/mod.rs <<'END'
//! What the harbour answers.

pub mod routes;
END

cat >src/http/routes.rs <<'END'
//! Routes of the harbour.

use harbour::http::Reply;

/// Answers `/health`.
pub async fn health() -> Reply {
    Reply::text("harbour is open")
}
END

cat >src/lexer.rs <<'END'
//! Reads the harbour's manifests.

pub fn words(manifest: &str) -> Vec<&str> {
    manifest.split_whitespace().collect()
}
END

cat >tests/auth.rs <<'END'
use harbour::auth::session::Session;

#[test]
fn a_session_opens() {
    assert!(Session::open().is_open());
}
END

cat >tests/e2e/login.rs <<'END'
use harbour::testing::Browser;

#[test]
fn login_twice() {
    let browser = Browser::start();
    browser.open("/login");
    browser.wait_ms(250);
    browser.submit("captain", "password");
}
END

cat >docs/guide.md <<'END'
# A guide to harbour

Start it, open it, look at it. This guide is old.
END

cat >docs/manual.md <<'END'
# The manual of harbour

## Starting

Run `harbour serve`; it listens on port 8080.

## Sessions

A session lasts an hour and is extended by use.
END

cat >migrations/0007_orders.sql <<'END'
CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
END

echo 'build/' >.gitignore

git init -q
git symbolic-ref HEAD refs/heads/main
git config user.name 'Parhelia demo'
git config user.email demo@localhost
git config commit.gpgsign false
git add .
git commit -q -m 'harbour, a toy project'
