//! Start and end of the dispatcher.

use std::{
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    api::error::{ApiError, ErrorKind},
    config::settings::Settings,
    dispatcher::{
        Crew, DamagedStore, Home, budget,
        core::{self, Core, store_error},
        create,
        duty::Duties,
        host::Hosts,
        http::{self, App},
        keeper::{self, Keeper, Tools},
        lease,
        world::World,
    },
    provider::{Capabilities, Provider, local::Local, pricing::Own},
    shell::local::LocalShell,
    stdx::time::{Clock, SystemClock},
    store::{Loaded, Store, error::StoreError},
    tmux::conf::Clipboard,
};

/// Runs the dispatcher with the providers that `settings` name, until it is told to end; calls
/// `ready` once it listens.
///
/// # Errors
///
/// If another dispatcher holds the state directory, if the store cannot be opened, or if the
/// socket cannot be bound.
pub async fn serve(
    home: Home,
    settings: Settings,
    damaged: DamagedStore,
    ready: impl FnOnce() + Send,
) -> Result<(), ApiError> {
    let local = local(&home, &settings)?;
    serve_with(home, settings, damaged, vec![Arc::new(local)], ready).await
}

fn local(home: &Home, settings: &Settings) -> Result<Local, ApiError> {
    let bad = |it: String| ApiError::new(ErrorKind::Config, it);
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let person = variable("HOME").ok_or_else(|| bad("HOME is not set".into()))?;
    let runs =
        home.runs_dir.to_str().ok_or_else(|| bad("the state directory is not UTF-8".into()))?;
    let capabilities = Capabilities {
        gpus: settings.local.gpus.clone(),
        memory_gb: settings.local.memory_gb,
        cpu: None,
        slots: settings.local.slots,
    };
    let config = variable("CLAUDE_CONFIG_DIR");
    let shell = Arc::new(LocalShell::new().with_program());
    let price = Own {
        per_hour: settings.local.cost_per_hour,
        gpu_per_hour: settings.local.gpu_cost_per_hour,
    };
    Local::new(shell, &person, runs, config.as_deref(), capabilities, price).map_err(bad)
}

/// Runs the dispatcher with these providers.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_with(
    home: Home,
    settings: Settings,
    damaged: DamagedStore,
    providers: Vec<Arc<dyn Provider>>,
    ready: impl FnOnce() + Send,
) -> Result<(), ApiError> {
    own_dir(&home.state_dir)?;
    own_dir(&home.runs_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, loaded) = open(&home.state_dir, damaged, &*clock)?;
    let Loaded { tasks, last_seq, offsets, dispatcher_id, ledger } = loaded;
    // The store's lock makes this the only dispatcher here, so a socket in the way is a dead one's.
    let listener = bind(&home.socket)?;
    tracing::info!(%dispatcher_id, tasks = tasks.len(), last_seq, "started");
    create::drop_strays(&home, &tasks);
    let clipboard = Clipboard::allowed(settings.ui.clipboard);
    let hosts = Hosts::new(providers, home.tmux_socket.clone(), clipboard, offsets);
    let max = settings.dispatcher.max_concurrent_workers;
    let world = World::new(tasks, last_seq, max, hosts.facts(), budget::of(&settings, ledger));
    let vault = keeper::vault(&home)?;
    let (handle, inputs) = core::channel();
    let (leases, lease_keeper) = lease::keeper(handle.clone(), &settings, Arc::clone(&clock));
    hosts.report_to(handle.clone(), leases.clone());
    let keeper = Keeper::new(
        Tools {
            core: handle.clone(),
            hosts: hosts.clone(),
            store: store.clone(),
            settings: settings.clone(),
            home: home.clone(),
            clock: Arc::clone(&clock),
        },
        vault,
    );
    let duties = Duties::new(Arc::new(Crew {
        core: handle.clone(),
        hosts: hosts.clone(),
        store: store.clone(),
        settings: settings.clone(),
        home: home.clone(),
        keeper: keeper.clone(),
        leases,
    }));
    let core = Core::new(world, store.clone(), Arc::clone(&clock), inputs, duties);
    let (end, ended) = watch::channel(false);
    let app = Arc::new(App {
        core: handle,
        hosts,
        store,
        settings,
        started_at: clock.now(),
        clock,
        end: end.clone(),
        home: home.clone(),
        keeper: keeper.clone(),
        ledgered: http::budget::Ledgered::default(),
    });
    let server = tokio::spawn(http::serve(listener, http::router(Arc::clone(&app)), ended.clone()));
    ready();
    tokio::spawn(on_signal(end));
    keeper.start();
    let leases = tokio::spawn(lease_keeper.run(app.hosts.clone()));
    let mut told = ended;
    let until = async move {
        // The sender lives in the app, which outlives this.
        let _ = told.wait_for(|it| *it).await;
        keeper.last().await;
    };
    let store = core.run(until).await;
    leases.abort();
    let _ = server.await;
    // A file that is gone already is as good as removed.
    let _ = std::fs::remove_file(&home.socket);
    drop(app);
    store.close().await;
    tracing::info!("ended; sessions keep running");
    Ok(())
}

fn open(dir: &Path, damaged: DamagedStore, clock: &dyn Clock) -> Result<(Store, Loaded), ApiError> {
    match (Store::open(dir), damaged) {
        (Err(StoreError::Corrupt { .. }), DamagedStore::MoveAside) => {
            let aside = Store::move_aside(dir, clock.now()).map_err(|it| store_error(&it))?;
            tracing::warn!(kept = %aside.display(), "moved the damaged store aside");
            // Whoever mends the store will want what its tasks were given, too.
            let mut beside = aside.into_os_string();
            beside.push(".env");
            let _ = std::fs::rename(create::env_dir(dir), beside);
            Store::open(dir).map_err(|it| store_error(&it))
        }
        (Err(error @ StoreError::Locked { .. }), _) => Err(ApiError::new(
            ErrorKind::Dispatcher,
            format!("another dispatcher is at work here: {error}"),
        )),
        (opened, _) => opened.map_err(|it| store_error(&it)),
    }
}

/// Makes a directory that only this user can enter.
fn own_dir(path: &Path) -> Result<(), ApiError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|it| {
        ApiError::new(ErrorKind::Store, format!("failed to make {}: {it}", path.display()))
    })
}

fn bind(socket: &Path) -> Result<UnixListener, ApiError> {
    let dir = socket.parent().unwrap_or(Path::new("/"));
    own_dir(dir)?;
    let fail = |what: String| {
        ApiError::new(ErrorKind::Dispatcher, what)
            .hint("set PARHELIA_RUNTIME_DIR to a directory that only you can write")
    };
    let meta = std::fs::symlink_metadata(dir).map_err(|it| fail(it.to_string()))?;
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != me || meta.mode() & 0o022 != 0 {
        return Err(fail(format!("{} is not this user's own directory", dir.display())));
    }
    match std::fs::symlink_metadata(socket) {
        Ok(meta) if meta.uid() != me => {
            return Err(fail(format!("{} belongs to user {}", socket.display(), meta.uid())));
        }
        Ok(_) => {
            let _ = std::fs::remove_file(socket);
        }
        Err(_) => (),
    }
    let listener = UnixListener::bind(socket)
        .map_err(|it| fail(format!("failed to listen on {}: {it}", socket.display())))?;
    // The directory is closed to others already; this is the second bolt.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .map_err(|it| fail(it.to_string()))?;
    Ok(listener)
}

/// Ends the dispatcher in good order when the system asks. A hangup is ignored: the dispatcher
/// survives the terminal that started it.
async fn on_signal(end: watch::Sender<bool>) {
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => (),
        }
    }
    end.send_replace(true);
}
