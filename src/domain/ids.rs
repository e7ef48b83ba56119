//! Names of things. The list is append-only: a stored id outlives the code that made it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::stdx::random;

/// Random characters after the prefix of an id: 40 bits, enough for a person's tasks.
const ID_LEN: usize = 8;

/// An id that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected `{prefix}` and 8 characters of a-z and 2-7")]
pub struct BadId {
    text: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every such id starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Returns a new random id.
            pub fn random() -> $name {
                $name(format!("{}{}", $prefix, random::base32(ID_LEN)))
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<$name, BadId> {
                let ok = text.strip_prefix($prefix).is_some_and(|it| {
                    it.len() == ID_LEN
                        && it.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
                });
                if ok {
                    Ok($name(text.to_owned()))
                } else {
                    Err(BadId { text: text.chars().take(80).collect(), prefix: $prefix })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<$name, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id!(
    /// A task.
    TaskId, "task-"
);
id!(
    /// A place acquired for a task.
    WorkerId, "worker-"
);

id!(
    /// Something saved of a task.
    CheckpointId, "cp-"
);

impl TaskId {
    /// Returns the name of the task's tmux session.
    pub fn session_name(&self) -> String {
        format!("ph-{self}")
    }

    /// Returns the task whose tmux session is called `name`, if it is one of ours.
    pub fn of_session(name: &str) -> Option<TaskId> {
        name.strip_prefix("ph-")?.parse().ok()
    }
}

/// A path on the host where a task works, which need not be this machine.
///
/// Always absolute, UTF-8 and free of NUL; the driver that takes a path from outside refuses
/// others with a clear error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostPath(String);

impl HostPath {
    /// Wraps an absolute path.
    ///
    /// # Errors
    ///
    /// Returns why the text cannot be a path on a host.
    pub fn new(text: impl Into<String>) -> Result<HostPath, String> {
        let text = text.into();
        if !text.starts_with('/') {
            return Err(format!("`{}` is not an absolute path", text.escape_debug()));
        }
        if text.contains('\0') {
            return Err("a path cannot hold a NUL byte".into());
        }
        Ok(HostPath(text))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns this path with `name` appended. `name` is ours, never text from outside.
    pub fn join(&self, name: &str) -> HostPath {
        HostPath(format!("{}/{name}", self.0.trim_end_matches('/')))
    }

    /// Returns the directory that holds this path.
    pub fn parent(&self) -> Option<HostPath> {
        let (dir, name) = self.0.trim_end_matches('/').rsplit_once('/')?;
        (!name.is_empty()).then(|| HostPath(if dir.is_empty() { "/".into() } else { dir.into() }))
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &str {
        self.0.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_everything_else() {
        let id = TaskId::random();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(TaskId::of_session(&id.session_name()), Some(id));
        for bad in ["task-", "task-ABCDEFGH", "task-abcdefg1", "worker-abcdefgh", "task-abcdefghi"]
        {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn host_paths_are_absolute() {
        assert!(HostPath::new("relative").is_err());
        assert!(HostPath::new("/a\0b").is_err());
        let path = HostPath::new("/a/b").unwrap();
        assert_eq!(path.join("c").as_str(), "/a/b/c");
        assert_eq!(path.parent().unwrap().as_str(), "/a");
    }
}
