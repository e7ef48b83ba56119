//! What every command is given.

use crate::{
    api::{client::Client, error::ApiError},
    cli::{out::Out, setup::Setup, start},
};

/// Configuration, places and output of one command.
#[derive(Clone, Debug)]
pub struct Context {
    pub setup: Setup,
    pub out: Out,
}

impl Context {
    /// Connects to the dispatcher, starting it if need be.
    pub async fn client(&self) -> Result<Client, ApiError> {
        start::connect(&self.setup, &self.out).await
    }
}
