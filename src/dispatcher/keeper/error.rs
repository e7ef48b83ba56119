//! What could not be saved or brought back, as a client is told.

use crate::{
    api::error::{ApiError, ErrorKind},
    checkpoint::CheckpointError,
    dispatcher::session::host_error,
};

/// Says what went wrong with a checkpoint.
pub fn of(error: &CheckpointError) -> ApiError {
    let said = |kind| ApiError::new(kind, error.to_string());
    match error {
        CheckpointError::Shell(error) => host_error(error),
        CheckpointError::NoGit { .. } => {
            said(ErrorKind::Host).hint("install git 2.30 or newer there")
        }
        CheckpointError::NoWorkspace { .. } | CheckpointError::InTheWay { .. } => {
            said(ErrorKind::Conflict)
        }
        CheckpointError::Missing { .. } => {
            said(ErrorKind::Host).hint("see which are whole: parhelia checkpoint verify")
        }
        CheckpointError::Damaged { .. } => {
            ApiError::new(ErrorKind::Store, format!("Corrupted checkpoint: {error}"))
                .hint("see which are whole: parhelia checkpoint verify")
        }
        CheckpointError::Full { .. } => {
            said(ErrorKind::Store).hint("make room there, or: parhelia checkpoint prune")
        }
        CheckpointError::Refused { .. } => said(ErrorKind::Host),
    }
}
