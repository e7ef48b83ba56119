//! Prompts, byte for byte: where they come from and what they may hold.

use std::{ffi::OsStr, io::Read, os::unix::ffi::OsStrExt, path::Path};

use crate::api::{
    error::{ApiError, ErrorKind},
    types::PROMPT_MAX,
};

/// Returns the prompt given on the command line, or read from stdin where it is `-`.
pub fn from_argument(text: &OsStr, stdin: impl Read) -> Result<String, ApiError> {
    if text == "-" { read("stdin", stdin) } else { check("the prompt", text.as_bytes().to_vec()) }
}

/// Returns the prompt that a file holds.
pub fn from_file(path: &Path) -> Result<String, ApiError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|it| unreadable(&name, &it))?;
    if file.metadata().is_ok_and(|it| it.is_dir()) {
        return Err(invalid(format!("cannot read {name}: it is a directory")));
    }
    read(&name, file)
}

fn read(name: &str, mut from: impl Read) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    // One byte too many is enough to know, however long the input goes on.
    let limit = PROMPT_MAX as u64 + 1;
    from.by_ref().take(limit).read_to_end(&mut bytes).map_err(|it| unreadable(name, &it))?;
    if PROMPT_MAX < bytes.len() {
        let rest = std::io::copy(&mut from.take(limit * 64), &mut std::io::sink()).unwrap_or(0);
        return Err(too_long(name, bytes.len() as u64 + rest));
    }
    check(name, bytes)
}

/// Checks what a prompt may hold: Unicode text without NUL, at most 1 MiB.
fn check(name: &str, bytes: Vec<u8>) -> Result<String, ApiError> {
    if PROMPT_MAX < bytes.len() {
        return Err(too_long(name, bytes.len() as u64));
    }
    if let Some(at) = bytes.iter().position(|it| *it == 0) {
        return Err(invalid(format!(
            "{name} holds a NUL byte at offset {at}, which no program can be given"
        )));
    }
    String::from_utf8(bytes).map_err(|it| {
        let at = it.utf8_error().valid_up_to();
        let byte = it.as_bytes().get(at).copied().unwrap_or_default();
        invalid(format!("{name} is not UTF-8 text: byte 0x{byte:02x} at offset {at}"))
            .hint("convert it first: iconv -f <its encoding> -t UTF-8")
    })
}

fn too_long(name: &str, bytes: u64) -> ApiError {
    invalid(format!("{name} is {bytes} bytes long; a prompt holds at most {PROMPT_MAX} (1 MiB)"))
        .hint("put the material into a file in the workspace and name the file in the prompt")
}

fn unreadable(name: &str, error: &std::io::Error) -> ApiError {
    invalid(format!("cannot read {name}: {error}"))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdin(bytes: &[u8]) -> Result<String, String> {
        from_argument("-".as_ref(), bytes).map_err(|it| it.message)
    }

    #[test]
    fn a_prompt_is_kept_byte_for_byte() {
        let odd = "  '$(x)'\r\n\t\u{1b}[31m \u{1f600}\n\n";
        assert_eq!(stdin(odd.as_bytes()).unwrap(), odd);
        assert_eq!(from_argument("--sync".as_ref(), &b"unread"[..]).unwrap(), "--sync");
    }

    #[test]
    fn what_no_prompt_can_hold_is_named_with_its_offset() {
        assert_eq!(
            stdin(b"ab\0c").unwrap_err(),
            "stdin holds a NUL byte at offset 2, which no program can be given"
        );
        assert_eq!(
            stdin(b"abc\xff").unwrap_err(),
            "stdin is not UTF-8 text: byte 0xff at offset 3"
        );
        let argument = from_argument(OsStr::from_bytes(b"\xc3"), &b""[..]).unwrap_err();
        assert_eq!(argument.message, "the prompt is not UTF-8 text: byte 0xc3 at offset 0");
    }

    #[test]
    fn a_mebibyte_fits_and_a_byte_more_does_not() {
        assert_eq!(stdin(&vec![b'x'; PROMPT_MAX]).unwrap().len(), PROMPT_MAX);
        assert_eq!(
            stdin(&vec![b'x'; PROMPT_MAX + 1]).unwrap_err(),
            "stdin is 1048577 bytes long; a prompt holds at most 1048576 (1 MiB)"
        );
    }
}
