//! The man page and the completion scripts, from the definitions that parse the command line.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::{
    args::{Cli, CompletionShell},
    out::{Done, Out},
};

/// Prints the man page: the program's own, then each command's.
pub fn man(out: &Out) -> Done {
    out.bytes(&page()?)?;
    Ok(0)
}

/// Prints a completion script.
pub fn completions(out: &Out, shell: CompletionShell) -> Done {
    let shell = match shell {
        CompletionShell::Bash => clap_complete::Shell::Bash,
        CompletionShell::Zsh => clap_complete::Shell::Zsh,
        CompletionShell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "parhelia", &mut script);
    out.bytes(&script)?;
    Ok(0)
}

fn page() -> std::io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut roff = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    for (name, sub) in leaves(&command, "parhelia") {
        section(&name, sub, &mut roff)?;
    }
    man.render_extra_section(&mut roff)?;
    man.render_version_section(&mut roff)?;
    Ok(roff)
}

/// Returns every command that does something, with what is typed for it.
fn leaves(command: &Command, name: &str) -> Vec<(String, Command)> {
    let mut found = Vec::new();
    for sub in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        if sub.has_subcommands() {
            found.extend(leaves(sub, &name));
        } else {
            found.push((name.clone(), sub.clone().bin_name(name)));
        }
    }
    found
}

fn section(name: &str, command: Command, roff: &mut Vec<u8>) -> std::io::Result<()> {
    // The global options stand at the top once.
    let command = command.mut_args(|it| match it.is_global_set() {
        true => it.hide(true),
        false => it,
    });
    roff.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(command);
    let mut part = Vec::new();
    man.render_synopsis_section(&mut part)?;
    man.render_description_section(&mut part)?;
    man.render_options_section(&mut part)?;
    man.render_extra_section(&mut part)?;
    for line in part.split_inclusive(|it| *it == b'\n') {
        // One section per command, so its parts become subsections.
        match line.strip_prefix(b".SH ") {
            Some(rest) => {
                roff.extend_from_slice(b".SS ");
                roff.extend_from_slice(rest);
            }
            None => roff.extend_from_slice(line),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_has_every_command_and_the_exit_codes() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        for it in [
            "PARHELIA TASK CREATE",
            "PARHELIA CHECKPOINT RESTORE",
            "PARHELIA SESSION RECOVER",
            "PARHELIA DAEMON RUN",
            "PARHELIA RESUME",
            "PARHELIA UNDO",
            "PARHELIA ATTACH",
            "a defect of",
        ] {
            assert!(page.contains(it), "{it} is missing:\n{page}");
        }
        assert_eq!(page.matches("\n.SH NAME").count(), 1);
    }
}
