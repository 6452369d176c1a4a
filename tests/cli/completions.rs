//! `headcount completions`.

use std::process::{Command, ExitCode};

use headcount::cli::{Defaults, run};

use crate::bench::Bench;

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = bench.run(&["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
        assert!(ran.out.contains("headcount") && ran.out.contains("backup"), "{shell}");
    }
    bench.write("completions.bash", bench.run(&["completions", "bash"]).out);
    // Where there is no bash there is nothing to hold it against.
    if let Ok(parsed) = Command::new("bash").arg("-n").arg(bench.path("completions.bash")).output() {
        assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");
    }
    let ran = bench.run(&["completions", "dos", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"));
}

#[test]
fn a_part_of_another_program_has_none_of_its_own() {
    let mounted = Defaults::new().program("acme usage");
    let exit = run(["acme usage", "completions", "bash"], mounted);
    assert_eq!(format!("{exit:?}"), format!("{:?}", ExitCode::from(2)));
}
