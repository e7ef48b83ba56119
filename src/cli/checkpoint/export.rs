//! `checkpoint export`: a checkpoint's files as a tar archive.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use futures_util::{Stream, StreamExt, pin_mut};

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::{
        args::checkpoint::Export,
        context::Context,
        out::{Done, Failure},
        view::size,
    },
    stdx::{random, text::one_line},
};

/// Writes the archive. A file appears whole or not at all.
pub async fn export(context: &Context, args: &Export) -> Done {
    let out = &context.out;
    let stdout = args.file.as_os_str() == "-";
    if stdout && out.tty {
        return Err(invalid("an archive on a terminal helps nobody".into())
            .hint("name a file, or pass it on: parhelia checkpoint export CP - | tar -t")
            .into());
    }
    if !stdout {
        check_name(&args.file)?;
        if !args.force && args.file.symlink_metadata().is_ok() {
            let message = format!("{} is there already", args.file.display());
            return Err(ApiError::new(ErrorKind::Conflict, message)
                .hint("--force replaces it")
                .into());
        }
    }
    let client = context.client().await?;
    let id = client.checkpoint_detail(&args.id).await?.checkpoint.id;
    let stream = client.export(&id).await?;
    if stdout {
        pass(stream, |bytes| out.bytes(bytes)).await?;
        return Ok(0);
    }
    let bytes = into_file(stream, &args.file).await?;
    let file = args.file.display().to_string();
    match out.json {
        true => out.json(&serde_json::json!({ "checkpoint": id, "file": file, "bytes": bytes }))?,
        false => {
            let id = one_line(&id, 40);
            out.line(&format!("Wrote {id} to {}, {}", one_line(&file, 400), size(bytes)))?;
        }
    }
    Ok(0)
}

/// Refuses names that promise what is not written.
fn check_name(path: &Path) -> Result<(), ApiError> {
    let ending = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    let program = match ending {
        "zst" => "zstd",
        "gz" | "tgz" => "gzip",
        "xz" => "xz",
        "bz2" => "bzip2",
        _ => return Ok(()),
    };
    Err(invalid(format!("the archive is a plain tar; .{ending} would be wrong"))
        .hint(format!("parhelia checkpoint export CP - | {program} > {}", path.display())))
}

/// Writes the stream beside `path` and then moves it there; returns its length.
pub async fn into_file<B: AsRef<[u8]>>(
    stream: impl Stream<Item = Result<B, ApiError>>,
    path: &Path,
) -> Result<u64, Failure> {
    let fail = |it: std::io::Error| cannot_write(path, &it);
    let part = beside(path);
    // It may hold what others on this machine must not read.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let mut file: File = made.map_err(fail)?;
    let mut bytes = 0;
    let mut done = pass(stream, |chunk| {
        bytes += chunk.len() as u64;
        file.write_all(chunk).map_err(|it| Failure::Api(fail(it)))
    })
    .await;
    if done.is_ok() {
        let moved = file.sync_all().and_then(|()| std::fs::rename(&part, path));
        done = moved.map_err(|it| Failure::Api(fail(it)));
    }
    if let Err(it) = done {
        let _ = std::fs::remove_file(&part);
        return Err(it);
    }
    Ok(bytes)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", random::base32(6)));
    PathBuf::from(name)
}

async fn pass<B: AsRef<[u8]>>(
    stream: impl Stream<Item = Result<B, ApiError>>,
    mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    pin_mut!(stream);
    while let Some(chunk) = stream.next().await {
        write(chunk?.as_ref())?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> ApiError {
    ApiError::new(ErrorKind::Host, format!("cannot write {}: {error}", path.display()))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    type Chunk = Result<&'static [u8], ApiError>;

    #[tokio::test]
    async fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let whole: Vec<Chunk> = vec![Ok(b"one "), Ok(b"two")];
        assert_eq!(into_file(stream::iter(whole), &path).await.unwrap(), 7);
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        let broken: Vec<Chunk> = vec![Ok(b"three"), Err(invalid("broken".into()))];
        assert!(into_file(stream::iter(broken), &path).await.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = dir.path().join("none/a.tar");
        assert!(into_file(stream::iter(Vec::<Chunk>::new()), &nowhere).await.is_err());
    }

    #[test]
    fn a_name_must_not_promise_what_is_not_written() {
        assert!(check_name(Path::new("a.tar")).is_ok());
        assert!(check_name(Path::new("a")).is_ok());
        let error = check_name(Path::new("a.tar.zst")).unwrap_err();
        assert_eq!(error.hints, ["parhelia checkpoint export CP - | zstd > a.tar.zst"]);
    }
}
