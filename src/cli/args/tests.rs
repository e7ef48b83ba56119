use clap::{CommandFactory, Parser};

use super::*;
use crate::domain::task::{Gpu, TaskKind};

fn create(args: &[&str]) -> Create {
    let cli = Cli::try_parse_from(["parhelia", "task", "create"].iter().chain(args)).unwrap();
    match cli.command {
        Some(Command::Task { command: TaskCommand::Create(it) }) => *it,
        other => panic!("{other:?}"),
    }
}

fn refused(args: &[&str]) -> String {
    Cli::try_parse_from(args).unwrap_err().to_string()
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_create_of_the_field_parses() {
    let it = create(&["Fix it", "--type", "code_fix", "--gpu", "a10g", "--memory", "32"]);
    assert_eq!(it.prompt.as_deref(), Some("Fix it".as_ref()));
    assert_eq!((it.kind, it.gpu, it.memory), (Some(TaskKind::CodeFix), Some(Gpu::A10G), Some(32)));
}

#[test]
fn a_prompt_may_begin_with_a_dash_after_two() {
    assert_eq!(create(&["--", "-x; --sync"]).prompt.as_deref(), Some("-x; --sync".as_ref()));
}

#[test]
fn dirty_files_can_be_left_behind_in_two_ways() {
    assert_eq!(create(&["p"]).include_dirty, None);
    assert_eq!(create(&["p", "--include-dirty"]).include_dirty, Some(true));
    assert_eq!(create(&["p", "--include-dirty=false"]).include_dirty, Some(false));
    assert!(create(&["p", "--no-include-dirty"]).no_include_dirty);
}

#[test]
fn aliases_reach_the_same_commands() {
    for args in [
        &["parhelia", "t", "ls"][..],
        &["parhelia", "s", "ls"],
        &["parhelia", "e", "watch"],
        &["parhelia", "submit", "p", "--provider", "local"],
        &["parhelia", "list", "--status", "RUNNING,idle", "--json"],
        &["parhelia", "logs", "abc", "--tail", "100", "-f"],
        &["parhelia", "c", "ls", "--session", "abc", "--older-than", "7d"],
        &["parhelia", "checkpoint", "list", "--task", "abc", "-n", "3"],
        &["parhelia", "checkpoint", "rm", "cp-a", "cp-b", "-y"],
        &["parhelia", "resume", "abc", "--checkpoint-id", "cp-a", "Go on"],
        &["parhelia", "resume", "abc", "--checkpoint", "cp-a", "--target", "/target/workspace"],
        &["parhelia", "session", "recover", "abc"],
        &["parhelia", "task", "delete", "abc", "--no-checkpoint"],
        &["parhelia", "budget"],
        &["parhelia", "b", "--by", "MODEL", "--from", "7d", "--csv"],
        &["parhelia", "budget", "show", "--by", "day", "--json"],
        &["parhelia", "budget", "set", "$50"],
        &["parhelia", "budget", "set", "none", "--host", "local"],
        &["parhelia", "budget", "set", "--configured", "--day"],
        &["parhelia", "budget", "export", "--json", "--task", "abc", "-o", "x"],
        &["parhelia", "task", "park", "abc", "bcd"],
        &["parhelia", "task", "unpark", "--all"],
    ] {
        Cli::try_parse_from(args).unwrap();
    }
}

#[test]
fn a_slip_names_the_nearest() {
    assert!(refused(&["parhelia", "taks"]).contains("'task'"));
    assert!(refused(&["parhelia", "submit", "p", "--gpu", "A10"]).contains("'A100'"));
    assert!(refused(&["parhelia", "submit", "p", "--wrkspace", "x"]).contains("--workspace"));
    assert!(refused(&["parhelia", "list", "--status", "runing"]).contains("running"));
}

#[test]
fn a_ceiling_is_one_amount_of_one_thing() {
    let set = |args: &[&str]| refused(&[&["parhelia", "budget", "set"], args].concat());
    assert!(set(&["0"]).contains("more than $0"));
    assert!(set(&["fifty"]).contains("is not an amount"));
    assert!(set(&[]).contains("required"));
    for args in [&["5", "--configured"][..], &["5", "--day", "--host", "x"]] {
        assert!(set(args).contains("cannot be used with"), "{args:?}");
    }
    assert!(refused(&["parhelia", "budget", "--csv", "--json"]).contains("cannot be used with"));
    assert!(refused(&["parhelia", "task", "unpark"]).contains("required"));
}

#[test]
fn a_prompt_comes_from_one_place() {
    assert!(refused(&["parhelia", "submit", "p", "--file", "x"]).contains("cannot be used with"));
}

#[test]
fn a_detach_key_is_the_byte_it_sends() {
    let cli = Cli::try_parse_from(["parhelia", "attach", "abc", "--detach-key", "C-]"]).unwrap();
    let Some(Command::Attach(it)) = cli.command else { panic!("{cli:?}") };
    assert_eq!(it.detach_key, Some(0x1d));
    assert!(Cli::try_parse_from(["parhelia", "attach", "abc", "--detach-key", "q"]).is_err());
}

fn checkpoint(args: &[&str]) -> CheckpointCommand {
    let cli = Cli::try_parse_from(["parhelia", "checkpoint"].iter().chain(args)).unwrap();
    match cli.command {
        Some(Command::Checkpoint { command }) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_is_narrowed_by_task_and_age() {
    let CheckpointCommand::List(it) = checkpoint(&["list", "--older-than", "7d"]) else { panic!() };
    assert_eq!(it.older_than, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!((it.session, it.limit.get()), (None, 50));
    assert!(refused(&["parhelia", "c", "ls", "--older-than", "soon"]).contains("soon"));
    assert!(refused(&["parhelia", "c", "ls", "-n", "0"]).contains("'0'"));
}

#[test]
fn a_diff_has_one_side_or_two() {
    let sides = |args: &[&str]| match checkpoint(args) {
        CheckpointCommand::Diff(it) => (it.id, it.to),
        other => panic!("{other:?}"),
    };
    assert_eq!(sides(&["diff", "cp-a"]), ("cp-a".into(), None));
    assert_eq!(sides(&["diff", "cp-a", "now"]), ("cp-a".into(), Some("now".into())));
    assert!(refused(&["parhelia", "checkpoint", "diff"]).contains("<CP>"));
}

#[test]
fn what_excludes_itself_is_refused() {
    for args in [
        &["restore", "cp-a", "--target", "/x", "--conversation"][..],
        &["verify", "cp-a", "--session", "abc"],
        &["delete"],
        &["export", "cp-a"],
        &["show", ""],
    ] {
        let args: Vec<&str> = ["parhelia", "checkpoint"].iter().chain(args).copied().collect();
        assert!(Cli::try_parse_from(&args).is_err(), "{args:?}");
    }
}

#[test]
fn help_says_more_than_the_list_of_commands() {
    for (args, said) in [
        (&["task", "create", "--help"][..], "prints the final answer on stdout"),
        (&["checkpoint", "restore", "--help"][..], "is saved as a checkpoint"),
        (&["session", "recover", "--help"][..], "the best first"),
        (&["undo", "--help"][..], "After a kill its conversation goes on"),
    ] {
        let help = refused(&[&["parhelia"], args].concat());
        assert!(help.contains(said), "{said}: {help}");
    }
}
