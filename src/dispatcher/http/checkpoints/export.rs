//! A checkpoint as a tar archive.

use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::io::AsyncReadExt;

use crate::{
    api::error::ApiError,
    dispatcher::{
        http::{Ctx, Problem},
        keeper::checkpoint_error,
    },
    shell::Process,
    stdx::text::one_line,
};

/// Bytes sent at once.
const CHUNK: usize = 64 * 1024;
/// The most that is read of what git complains of.
const COMPLAINT_MAX: u64 = 4096;

/// Returns a checkpoint as a tar archive: the workspace below `workspace/`, the rest beside it. An
/// archive that cannot be written to its end breaks off, so that nobody takes it for whole.
#[utoipa::path(get, path = "/v1/checkpoints/{id}/export", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>),
        (status = 404, body = ApiError), (status = 507, body = ApiError)))]
pub async fn export(ctx: Ctx, Path(id): Path<String>) -> Result<Response, Problem> {
    let row = ctx.keeper.find(&id).await?;
    let repo = ctx.keeper.readable(&row).await?.repo;
    let process = repo.export(&row.commit).await.map_err(|it| checkpoint_error(&it))?;
    let kind = [(header::CONTENT_TYPE, "application/x-tar")];
    let body = stream::unfold(Some(process), async |process| chunk(process?).await);
    Ok((kind, Body::from_stream(body)).into_response())
}

/// Returns the next bytes, and the command if there may be more.
async fn chunk(mut process: Process) -> Option<(Result<Bytes, String>, Option<Process>)> {
    let mut bytes = vec![0; CHUNK];
    match process.stdout.read(&mut bytes).await {
        Ok(0) => {
            let failed = end(process).await?;
            tracing::warn!(failed, "an export broke off");
            Some((Err(failed), None))
        }
        Ok(count) => {
            bytes.truncate(count);
            Some((Ok(bytes.into()), Some(process)))
        }
        Err(error) => Some((Err(error.to_string()), None)),
    }
}

/// Returns why the archive is not whole, if it is not.
async fn end(process: Process) -> Option<String> {
    let Process { stdin, stdout, stderr, exit } = process;
    drop((stdin, stdout));
    let mut said = Vec::new();
    // Without its words the status tells enough.
    let _ = stderr.take(COMPLAINT_MAX).read_to_end(&mut said).await;
    match exit.await {
        Ok(exit) if exit.code == 0 => None,
        Ok(exit) => {
            let said = one_line(&String::from_utf8_lossy(&said), 400);
            Some(format!("git ended with status {}: {said}", exit.code))
        }
        Err(error) => Some(error.to_string()),
    }
}
