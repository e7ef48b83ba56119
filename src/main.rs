//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    parhelia::cli::main()
}
