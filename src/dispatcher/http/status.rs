//! How all is.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::Path, sync::Arc, time::Duration};

use axum::Json;

use crate::{
    api::types::{Disk, ProviderStatus, Spend, Status},
    config::load::load,
    dispatcher::{
        http::{Answer, App, Ctx, hooks, readiness::readiness, version_info},
        world::World,
    },
    domain::{budget::Scope, ids::WorkerId, ledger::hourly, task::Requirements, usd::Usd},
    provider::Provider,
    shell::{Command, Shell, run},
    stdx::time::Timestamp,
};

/// How long a provider may take to say how it is.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Less free disk than this is worth a hint: 1 GiB.
const DISK_LOW: u64 = 1024 * 1024 * 1024;

/// Asks Claude for its version where a launch would find it.
const AS_LAUNCHED: &str = "PATH=$PATH:$HOME/.local/bin:/usr/local/bin\n\
    command -v \"$1\" >/dev/null || exit 127\n\
    exec \"$1\" --version </dev/null";

/// Said where the configuration is no longer what the dispatcher was started with.
const CHANGED: &str = "the configuration changed since the dispatcher started; parhelia daemon \
                       restart takes it up, and sessions keep running";

/// Returns how all is. Asks every provider, so it takes as long as the slowest of them.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
pub async fn status(ctx: Ctx) -> Answer<Status> {
    let now = ctx.clock.now();
    let (tasks, needs_you, spend, in_use) = ctx
        .core
        .read(move |world| {
            let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
            for task in world.newest_first() {
                *tasks.entry(task.state.name().to_owned()).or_default() += 1;
            }
            let needs_you = world
                .live()
                .filter_map(|it| it.state.session())
                .filter(|it| it.verdict().activity.needs_person())
                .count();
            let spend = spend(world, now);
            let mut in_use: BTreeMap<String, u32> = BTreeMap::new();
            for task in world.live().filter(|it| it.state.holds_slot()) {
                if let Some(place) = &task.place {
                    *in_use.entry(place.provider.clone()).or_default() += 1;
                }
            }
            (tasks, needs_you, spend, in_use)
        })
        .await?;
    let mut providers = Vec::new();
    let mut hook_hints = Vec::new();
    for provider in ctx.hosts.providers() {
        let used = in_use.get(provider.name()).copied().unwrap_or(0);
        let (status, findings) = probe(&ctx, &**provider, used).await;
        providers.push(status);
        hook_hints.extend(findings);
    }
    let disk = disk(&ctx.home.state_dir);
    let mut hints = hints(&providers, disk);
    hints.extend(hook_hints);
    let config = &ctx.home.config;
    let own = config.explicit.as_ref().unwrap_or(&config.user);
    let config_file = own.exists().then(|| own.display().to_string());
    let config_problems = match load(config) {
        Ok(settings) => {
            if settings != ctx.settings {
                hints.push(CHANGED.to_owned());
            }
            Vec::new()
        }
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    };
    Ok(Json(Status {
        dispatcher: version_info(&ctx),
        config_file,
        config_problems,
        tasks,
        needs_you,
        spend,
        providers,
        disk,
        checkpoint_bytes: ctx.keeper.size().await,
        memory_bytes: memory(),
        hints,
    }))
}

/// Returns what was spent, and what may be.
fn spend(world: &World, now: Timestamp) -> Spend {
    let standings = world.budget.standings(world.live(), now);
    let of = |scope| standings.iter().find(|it| it.ceiling.scope() == scope);
    let spent = |scope| of(scope).map_or(0.0, |it| it.spent.dollars());
    let limit = |scope| of(scope).and_then(|it| it.limit).map(Usd::dollars);
    Spend {
        total_usd: spent(Scope::All),
        last_day_usd: spent(Scope::Day),
        ceiling_usd: limit(Scope::All).unwrap_or(0.0),
        daily_ceiling_usd: limit(Scope::Day),
        warning_threshold: world.budget.configured.warning_threshold,
        ceiling_enforced: true,
    }
}

/// Asks a provider how it is, and what hinders Claude there.
async fn probe(
    app: &Arc<App>,
    provider: &dyn Provider,
    in_use: u32,
) -> (ProviderStatus, Vec<String>) {
    let plain = Requirements::default();
    let mut status = ProviderStatus {
        name: provider.name().to_owned(),
        reachable: false,
        detail: None,
        slots: provider.capabilities().slots,
        in_use,
        versions: BTreeMap::new(),
        login: None,
        login_by: None,
        first_run: None,
        price_per_hour_usd: hourly(&provider.prices(&plain)).dollars(),
    };
    // No worker is made for a question: a provider that has to make one is asked in its own way.
    let worker = match provider.acquire(&WorkerId::random(), &plain).await {
        Ok(worker) => worker,
        Err(error) => {
            status.detail = Some(error.to_string());
            return (status, Vec::new());
        }
    };
    let claude = app.settings.agent.command.program.clone();
    let asks: [(&str, &[&str]); 3] = [
        ("tmux", &["tmux", "-V"]),
        ("git", &["git", "--version"]),
        ("claude", &["sh", "-c", AS_LAUNCHED, "sh", &claude]),
    ];
    for (name, argv) in asks {
        match version(&*worker.shell, argv).await {
            Ok(version) => {
                status.reachable = true;
                status.versions.insert(name.to_owned(), version);
            }
            Err(detail) => status.detail = Some(detail),
        }
    }
    if !status.reachable {
        return (status, Vec::new());
    }
    let ready = readiness(&worker, PROBE_LIMIT).await;
    (status.login, status.login_by) = (ready.login, ready.login_by);
    status.first_run = ready.first_run;
    (status, hooks::findings(&worker, PROBE_LIMIT).await)
}

/// Returns what a program says its version is; nothing if it is missing.
async fn version(shell: &dyn Shell, argv: &[&str]) -> Result<Option<String>, String> {
    let command = Command::new(argv.iter().copied());
    match run(shell, &command, PROBE_LIMIT).await {
        Ok(output) if output.code == 0 => {
            let text = crate::stdx::text::one_line(&output.text(), 60);
            let number =
                text.split_whitespace().find(|it| it.starts_with(|c: char| c.is_ascii_digit()));
            Ok(Some(number.unwrap_or(&text).to_owned()))
        }
        Ok(_) | Err(crate::shell::ShellError::NoProgram { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn hints(providers: &[ProviderStatus], disk: Disk) -> Vec<String> {
    let mut hints = Vec::new();
    for provider in providers {
        for (program, version) in &provider.versions {
            if version.is_none() {
                let how = match program.as_str() {
                    "claude" => "npm install -g @anthropic-ai/claude-code, or set agent.command",
                    "tmux" => "install tmux 3.2 or newer from the system's packages",
                    _ => "install it from the system's packages",
                };
                hints.push(format!("{} has no {program}: {how}", provider.name));
            }
        }
        if provider.slots == 0 {
            hints.push(format!("{} takes no workers: its slots are set to 0", provider.name));
        }
    }
    if disk.total_bytes != 0 && disk.free_bytes < DISK_LOW {
        hints.push(format!(
            "only {} MiB free where the state is kept; delete finished tasks: parhelia task delete",
            disk.free_bytes / (1024 * 1024)
        ));
    }
    hints
}

fn disk(path: &Path) -> Disk {
    rustix::fs::statvfs(path.as_os_str().as_bytes()).map_or(Disk::default(), |it| Disk {
        free_bytes: it.f_bavail.saturating_mul(it.f_frsize),
        total_bytes: it.f_blocks.saturating_mul(it.f_frsize),
    })
}

/// Returns the resident memory of this process; Linux only.
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}
