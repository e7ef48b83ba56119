//! Errors as they travel and as they end a command.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What sort of error it is. Decides the HTTP status and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The request makes no sense.
    Invalid,
    /// There is no such task.
    NotFound,
    /// The task's state does not admit it.
    Conflict,
    /// No dispatcher answers, or one of another version.
    Dispatcher,
    /// The host does not answer, or has not what it takes.
    Host,
    /// A ceiling would be passed.
    Budget,
    /// The configuration is wrong.
    Config,
    /// The store cannot write: full disk, damaged file.
    Store,
    /// A defect of Parhelia.
    Internal,
}

impl ErrorKind {
    /// Returns the status a command exits with. Documented in the man page and the README.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Invalid => 2,
            ErrorKind::NotFound => 3,
            ErrorKind::Conflict => 4,
            ErrorKind::Dispatcher => 5,
            ErrorKind::Host => 6,
            ErrorKind::Config => 7,
            ErrorKind::Budget => 8,
            ErrorKind::Store => 9,
            ErrorKind::Internal => 70,
        }
    }

    /// Returns the HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorKind::Invalid | ErrorKind::Config => 400,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::Dispatcher => 426,
            ErrorKind::Host => 502,
            ErrorKind::Budget => 402,
            ErrorKind::Store => 507,
            ErrorKind::Internal => 500,
        }
    }
}

/// An error with what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What sort it is.
    pub kind: ErrorKind,
    /// What happened, to what, and why; a sentence without its full stop.
    pub message: String,
    /// What to do next, one line each.
    #[serde(default)]
    pub hints: Vec<String>,
}

impl ApiError {
    /// Creates an error.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> ApiError {
        ApiError { kind, message: message.into(), hints: Vec::new() }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> ApiError {
        self.hints.push(hint.into());
        self
    }
}
