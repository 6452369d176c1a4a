//! Says that this is not the usual build, and copies the sources with the mistakes of `mutants.rs` put in, each behind a question.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

include!("mutants.rs");

/// What of the crate the ingest wing stands on, and itself.
const MODULES: [&str; 9] =
    ["definition", "error", "event", "hash", "ingest", "plan", "sketch", "storage", "time"];

fn main() {
    println!("cargo::rustc-cfg=headcount_schedules");
    println!("cargo::rerun-if-changed=../../src");
    println!("cargo::rerun-if-changed=mutants.rs");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let copy = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("src");
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    let mut root = String::new();
    for module in MODULES {
        let (file, folder) = (format!("{module}.rs"), format!("{module}/mod.rs"));
        let path = if sources.join(&file).exists() { file } else { folder };
        copy_all(&sources, &copy, module);
        let path = copy.join(path);
        writeln!(root, "#[path = {path:?}]\n#[allow(unused_imports)]\nmod {module};").unwrap();
    }
    for mutant in MUTANTS {
        for (place, sound, mistaken) in mutant.changes {
            let path = copy.join(place);
            let text = fs::read_to_string(&path).unwrap();
            // A mistake that no longer fits must be thought of anew.
            assert_eq!(
                text.matches(sound).count(),
                1,
                "`{}`: src/{place} has not once\n{sound}",
                mutant.name
            );
            let mistaken =
                mistaken.replace("MISTAKEN", &format!("crate::sync::is_mistaken({:?})", mutant.name));
            fs::write(&path, text.replace(sound, &mistaken)).unwrap();
        }
    }
    fs::write(copy.with_file_name("mutated.rs"), root).unwrap();
}

fn copy_all(from: &Path, to: &Path, module: &str) {
    let file = format!("{module}.rs");
    fs::create_dir_all(to).unwrap();
    if from.join(&file).exists() {
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
    copy_folder(&from.join(module), &to.join(module));
}

fn copy_folder(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
