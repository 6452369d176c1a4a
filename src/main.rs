//! The command line of headcount.

fn main() -> std::process::ExitCode {
    headcount::cli::run(std::env::args_os(), headcount::cli::Defaults::new())
}
