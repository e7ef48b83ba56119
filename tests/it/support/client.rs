//! A client of a sandbox's dispatcher, as the dashboard is one.

use parhelia::api::{
    client::{Client, Terminal},
    frames::{Decoder, PtyFrame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::support::{dispatcher, sandbox::Sandbox, wait::PATIENCE};

/// A client with a thread to run on.
pub struct Caller {
    /// The client.
    pub client: Client,
    runtime: Runtime,
}

impl Caller {
    /// Starts the dispatcher of `sandbox` if need be, and connects.
    pub fn new(sandbox: &Sandbox) -> Caller {
        sandbox.ok(&["daemon", "start"]);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let socket = dispatcher::socket(sandbox);
        let (client, _) = runtime.block_on(Client::connect(&socket)).unwrap();
        Caller { client, runtime }
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }
}

/// A terminal that the dispatcher carries here. Dropping it hangs up.
pub struct Carried<'a> {
    /// All it showed so far.
    pub shown: Vec<u8>,
    caller: &'a Caller,
    stream: Box<dyn Terminal>,
    decoder: Decoder,
}

impl<'a> Carried<'a> {
    /// Takes over what an attaching call returned.
    pub fn new(caller: &'a Caller, stream: Box<dyn Terminal>) -> Carried<'a> {
        Carried { shown: Vec::new(), caller, stream, decoder: Decoder::default() }
    }

    /// Sends frames.
    pub fn send(&mut self, frame: &PtyFrame) {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        let stream = &mut self.stream;
        self.caller.wait(async { stream.write_all(&wire).await.unwrap() });
    }

    /// Types text.
    pub fn type_text(&mut self, text: &str) {
        self.send(&PtyFrame::Data(text.into()));
    }

    /// Waits until it showed `text`.
    ///
    /// # Panics
    ///
    /// If it does not within [`PATIENCE`], or ends; tells what it showed.
    pub fn wait_for(&mut self, text: &str) {
        while !self.shows(text) {
            let ended = self.frame();
            assert_eq!(ended, None, "ended before `{text}`: {}", self.shown.escape_ascii());
        }
    }

    /// Tells whether it showed `text` so far.
    pub fn shows(&self, text: &str) -> bool {
        self.shown.windows(text.len()).any(|it| it == text.as_bytes())
    }

    /// Returns the dispatcher's last word once it ended.
    pub fn end(&mut self) -> String {
        loop {
            if let Some(word) = self.frame() {
                return word;
            }
        }
    }

    /// Takes in the next frame; returns the last word if it is that.
    fn frame(&mut self) -> Option<String> {
        let mut chunk = vec![0; 4096];
        loop {
            match self.decoder.take().unwrap() {
                Some(PtyFrame::Data(bytes)) => {
                    self.shown.extend(bytes);
                    return None;
                }
                Some(PtyFrame::End(why)) => return Some(why),
                Some(other) => panic!("{other:?} from the dispatcher"),
                None => (),
            }
            let stream = &mut self.stream;
            let read = async { timeout(PATIENCE, stream.read(&mut chunk)).await };
            let n = match self.caller.wait(read) {
                Ok(n) => n.unwrap(),
                Err(_) => panic!("no more than: {}", self.shown.escape_ascii()),
            };
            assert_ne!(n, 0, "no last word after: {}", self.shown.escape_ascii());
            self.decoder.feed(&chunk[..n]);
        }
    }
}
