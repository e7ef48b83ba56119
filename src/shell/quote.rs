//! The one function that quotes for a remote `sh`.

/// Returns `word` such that every POSIX shell reads it back as exactly that one word.
///
/// Works for any bytes but NUL. Words of safe characters stay as they are; all else goes between
/// single quotes, which know no escapes, with each single quote as `'\''`.
pub fn quote(word: &[u8]) -> Vec<u8> {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"@%_+=:,./-".contains(b);
    // A leading `=` is a path lookup in zsh, a leading `~` a home everywhere.
    if !word.is_empty() && word.iter().all(safe) && word[0] != b'=' {
        return word.to_vec();
    }
    let mut out = Vec::with_capacity(word.len() + 2);
    out.push(b'\'');
    for &b in word {
        if b == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(b);
        }
    }
    out.push(b'\'');
    out
}

/// Returns the words quoted and joined by spaces.
pub fn join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for word in words {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend(quote(word));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shell::{Command, local::LocalShell, run};

    /// Asks a real shell, once for all words, what it reads back.
    fn check(words: &[Vec<u8>]) {
        let mut script = Vec::new();
        let mut expected = Vec::new();
        for word in words {
            script.extend_from_slice(b"printf '%s\\0' ");
            script.extend(join([word.as_slice()]));
            script.push(b'\n');
            expected.extend_from_slice(word);
            expected.push(0);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shell = LocalShell::new();
            for program in ["sh", "dash", "bash", "zsh", "ksh"] {
                // The script goes in as a file would: the shell reads it from its input.
                let command = Command::new([program]).stdin(script.clone()).env("LC_ALL", "C");
                let limit = std::time::Duration::from_secs(20);
                match run(&shell, &command, limit).await {
                    Ok(output) => assert_eq!(output.stdout, expected, "{program}"),
                    Err(crate::shell::ShellError::NoProgram { .. }) if program != "sh" => {}
                    Err(error) => panic!("{program}: {error}"),
                }
            }
        });
    }

    #[test]
    fn every_byte_survives_alone_and_in_company() {
        let mut words = vec![Vec::new()];
        for byte in 1..=255u8 {
            words.push(vec![byte]);
            words.push(vec![b'a', byte, b'b']);
            words.push(vec![byte, byte, b'\'', byte]);
        }
        for word in ["~", "~root", "=ls", "-n", "a=b", "$(x)", "!!", "*", "{a,b}", "if", "#x", "\\"]
        {
            words.push(word.into());
        }
        check(&words);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_words_survive(
            words in proptest::collection::vec(
                proptest::collection::vec(1u8..=255, 0..40), 1..200)
        ) {
            check(&words);
        }
    }
}
