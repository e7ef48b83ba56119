//! Answers of a shell, told apart in one stream of bytes.
//!
//! Each request ends with `printf '\n%s %s\n' NONCE "$?"`. The nonce is random and new for every
//! request, so no content of a file can hold it: it was chosen after the content was written, and
//! travels on standard input, where no other process sees it. A length in front would need the
//! host to hold the content before sending it, in a temporary file or a variable; `sh` has no
//! variable for NUL bytes.

use crate::stdx::random;

/// Characters of a nonce: 130 bits.
const NONCE_LEN: usize = 26;

/// The longest answer that is waited for, in bytes: many times the longest that is asked for.
/// A stream that goes on beyond it is no answer.
pub const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Marks the end of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Chooses one.
    pub fn random() -> Nonce {
        Nonce(random::base32(NONCE_LEN))
    }

    /// Returns the line of shell that ends an answer with this mark.
    pub fn script(&self) -> String {
        format!("printf '\\n%s %s\\n' {} \"$?\"\n", self.0)
    }

    fn mark(&self) -> Vec<u8> {
        format!("\n{} ", self.0).into_bytes()
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status of the last command of the request.
    pub status: i32,
    /// What the request wrote.
    pub body: Vec<u8>,
}

/// The stream so far.
#[derive(Debug, Default)]
pub struct Answers {
    bytes: Vec<u8>,
    /// Where the search for the next mark goes on: what lies before was searched.
    searched: usize,
}

impl Answers {
    /// Adds bytes of the stream.
    ///
    /// # Errors
    ///
    /// If no answer can be this long.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if ANSWER_MAX < self.bytes.len() + bytes.len() {
            return Err("the host's answer has no end");
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the answer that `nonce` ends, if all of it is here.
    ///
    /// # Errors
    ///
    /// If the mark is there but no status after it.
    pub fn take(&mut self, nonce: &Nonce) -> Result<Option<Answer>, &'static str> {
        let mark = nonce.mark();
        let Some(at) = find(&self.bytes[self.searched..], &mark) else {
            self.searched = self.bytes.len().saturating_sub(mark.len());
            return Ok(None);
        };
        let at = self.searched + at;
        self.searched = at;
        let tail = &self.bytes[at + mark.len()..];
        let Some(len) = tail.iter().take(5).position(|it| *it == b'\n') else {
            return if tail.len() < 5 { Ok(None) } else { Err("the host's answer has no status") };
        };
        let status = std::str::from_utf8(&tail[..len])
            .ok()
            .and_then(|it| it.parse().ok())
            .ok_or("the host's answer has no status")?;
        let rest = self.bytes.split_off(at + mark.len() + len + 1);
        let mut body = std::mem::replace(&mut self.bytes, rest);
        body.truncate(at);
        self.searched = 0;
        Ok(Some(Answer { status, body }))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|it| *it == needle[0]) {
        let at = from + at;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn answers_come_out_whole_however_the_stream_is_cut(
            bodies in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..300), 0i32..256), 0..8),
            cuts in proptest::collection::vec(1usize..50, 1..20),
        ) {
            let nonces: Vec<Nonce> = bodies.iter().map(|_| Nonce::random()).collect();
            let mut stream = Vec::new();
            for ((body, status), nonce) in bodies.iter().zip(&nonces) {
                stream.extend_from_slice(body);
                stream.extend(nonce.mark());
                stream.extend_from_slice(format!("{status}\n").as_bytes());
            }
            let (mut answers, mut got, mut at) = (Answers::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(stream.len());
                answers.feed(&stream[at..end]).unwrap();
                at = end;
                while let Some(nonce) = nonces.get(got.len()) {
                    let Some(answer) = answers.take(nonce).unwrap() else { break };
                    got.push((answer.body, answer.status));
                }
                if at == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(got, bodies);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            before in proptest::collection::vec(any::<u8>(), 0..100),
            after in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let nonce = Nonce::random();
            let mut answers = Answers::default();
            answers.feed(&before).unwrap();
            let _ = answers.take(&nonce);
            answers.feed(&nonce.mark()).unwrap();
            let _ = answers.take(&nonce);
            answers.feed(&after).unwrap();
            let _ = answers.take(&nonce);
        }
    }
}
