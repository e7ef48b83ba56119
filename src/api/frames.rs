//! An attached terminal on the wire.
//!
//! After the upgrade both sides send frames: one byte of kind, four bytes of length (big endian),
//! then so many bytes. Sizes travel in-band, so a resize stands where it happened among the keys.

/// The most bytes one frame may carry. A longer one is a broken peer, and ends the connection.
pub const FRAME_MAX: usize = 64 * 1024;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PtyFrame {
    /// Bytes of the terminal: keys up, output down.
    Data(Vec<u8>),
    /// The client's terminal has this size now.
    Resize { cols: u16, rows: u16 },
    /// The dispatcher's last word: why the terminal ended.
    End(String),
}

/// The peer does not speak this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken terminal stream: {0}")]
pub struct BadFrame(String);

impl PtyFrame {
    /// Appends the frame's bytes to `out`. `Data` longer than [`FRAME_MAX`] is split.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            PtyFrame::Data(bytes) => {
                for chunk in bytes.chunks(FRAME_MAX) {
                    head(out, b'd', chunk.len());
                    out.extend_from_slice(chunk);
                }
            }
            PtyFrame::Resize { cols, rows } => {
                head(out, b'r', 4);
                out.extend_from_slice(&cols.to_be_bytes());
                out.extend_from_slice(&rows.to_be_bytes());
            }
            PtyFrame::End(why) => {
                let bytes = &why.as_bytes()[..why.len().min(FRAME_MAX)];
                head(out, b'e', bytes.len());
                out.extend_from_slice(bytes);
            }
        }
    }
}

fn head(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

/// Puts frames together from bytes as they arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes bytes in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Returns the next whole frame, if there is one.
    ///
    /// # Errors
    ///
    /// [`BadFrame`] if the bytes cannot be one; the connection is of no use then.
    pub fn take(&mut self) -> Result<Option<PtyFrame>, BadFrame> {
        let [kind, a, b, c, d, ..] = self.pending[..] else { return Ok(None) };
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if FRAME_MAX < len {
            return Err(BadFrame(format!("a frame of {len} bytes")));
        }
        if self.pending.len() < 5 + len {
            return Ok(None);
        }
        let body: Vec<u8> = self.pending.drain(..5 + len).skip(5).collect();
        match (kind, &body[..]) {
            (b'd', _) => Ok(Some(PtyFrame::Data(body))),
            (b'r', &[c1, c2, r1, r2]) => Ok(Some(PtyFrame::Resize {
                cols: u16::from_be_bytes([c1, c2]),
                rows: u16::from_be_bytes([r1, r2]),
            })),
            (b'e', _) => Ok(Some(PtyFrame::End(String::from_utf8_lossy(&body).into_owned()))),
            _ => Err(BadFrame(format!("a frame of kind {kind}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(data in proptest::collection::vec(any::<u8>(), 1..300),
                                  cols: u16, rows: u16, step in 1usize..40) {
            let frames = [
                PtyFrame::Data(data),
                PtyFrame::Resize { cols, rows },
                PtyFrame::End("session ended".into()),
            ];
            let mut wire = Vec::new();
            frames.iter().for_each(|it| it.encode(&mut wire));
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for chunk in wire.chunks(step) {
                decoder.feed(chunk);
                while let Some(frame) = decoder.take().unwrap() {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(&seen[..], &frames[..]);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.take() {}
        }
    }
}
