//! Checkpoints, and bringing back from them.

use futures_util::{Stream, stream};
use reqwest::Method;

use crate::api::{
    checkpoints::{
        CheckpointDetail, CheckpointDiff, CheckpointFiles, CheckpointList, CheckpointView,
        CreateCheckpoint, EditCheckpoint, Fork, Prune, Pruned, Recovery, Restore, Restored, Resume,
        Verified, Verify,
    },
    client::{CheckpointsQuery, Client, segment, task_path},
    error::{ApiError, ErrorKind},
    types::Created,
    view::TaskView,
};

impl Client {
    /// Saves a task now.
    pub async fn checkpoint(
        &self,
        id: &str,
        what: &CreateCheckpoint,
    ) -> Result<CheckpointView, ApiError> {
        self.work(Method::POST, &task_path(id, "/checkpoints"), what).await
    }

    /// Lists checkpoints, newest first.
    pub async fn checkpoints(&self, query: &CheckpointsQuery) -> Result<CheckpointList, ApiError> {
        self.get("/v1/checkpoints", query).await
    }

    /// Returns the checkpoint whose id starts with `id`, with what is in it.
    pub async fn checkpoint_detail(&self, id: &str) -> Result<CheckpointDetail, ApiError> {
        self.get(&checkpoint_path(id, ""), &()).await
    }

    /// Returns the files of a checkpoint.
    pub async fn checkpoint_files(&self, id: &str) -> Result<CheckpointFiles, ApiError> {
        self.get(&checkpoint_path(id, "/files"), &()).await
    }

    /// Compares a checkpoint with `to`: an id, `now` or `previous`. `previous` makes it the newer
    /// side.
    pub async fn checkpoint_diff(&self, id: &str, to: &str) -> Result<CheckpointDiff, ApiError> {
        self.get(&checkpoint_path(id, "/diff"), &[("to", to)]).await
    }

    /// Puts a checkpoint's files back, or says what that would change.
    pub async fn restore(&self, id: &str, how: &Restore) -> Result<Restored, ApiError> {
        self.work(Method::POST, &checkpoint_path(id, "/restore"), how).await
    }

    /// Makes a new task of a checkpoint.
    pub async fn fork(&self, id: &str, how: &Fork) -> Result<Created, ApiError> {
        self.work(Method::POST, &checkpoint_path(id, "/fork"), how).await
    }

    /// Names or pins a checkpoint.
    pub async fn edit_checkpoint(
        &self,
        id: &str,
        edit: &EditCheckpoint,
    ) -> Result<CheckpointView, ApiError> {
        self.send(Method::PATCH, &checkpoint_path(id, ""), edit).await
    }

    /// Deletes a checkpoint and returns what it was.
    pub async fn delete_checkpoint(&self, id: &str) -> Result<CheckpointView, ApiError> {
        self.send(Method::DELETE, &checkpoint_path(id, ""), &()).await
    }

    /// Returns a checkpoint as a tar archive. An error among the bytes means that the archive is
    /// not whole.
    pub async fn export(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ApiError>> + Send + use<>, ApiError> {
        let request = self.request(Method::GET, &checkpoint_path(id, "/export"));
        let response = self.checked(request, None).await?;
        Ok(stream::unfold(Some(response), async |response| {
            let mut response = response?;
            match response.chunk().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes.to_vec()), Some(response))),
                Err(error) => {
                    let message = format!("the archive broke off and is not whole: {error}");
                    let error = ApiError::new(ErrorKind::Dispatcher, message)
                        .hint("see whether it is damaged: parhelia checkpoint verify");
                    Some((Err(error), None))
                }
            }
        }))
    }

    /// Deletes checkpoints by age and number.
    pub async fn prune(&self, what: &Prune) -> Result<Pruned, ApiError> {
        self.work(Method::POST, "/v1/checkpoints/prune", what).await
    }

    /// Checks checkpoints against their hashes.
    pub async fn verify(&self, what: &Verify) -> Result<Verified, ApiError> {
        self.work(Method::POST, "/v1/checkpoints/verify", what).await
    }

    /// Goes on with a task whose session is over.
    pub async fn resume(&self, id: &str, how: &Resume) -> Result<TaskView, ApiError> {
        self.work(Method::POST, &task_path(id, "/resume"), how).await
    }

    /// Returns what can be brought back of a task, and how.
    pub async fn recovery(&self, id: &str) -> Result<Recovery, ApiError> {
        self.get(&task_path(id, "/recovery"), &()).await
    }
}

fn checkpoint_path(id: &str, rest: &str) -> String {
    format!("/v1/checkpoints/{}{rest}", segment(id))
}
