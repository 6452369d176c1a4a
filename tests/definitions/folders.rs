//! Folders and files: what is read, and what cannot be.

use headcount::{Definitions, ErrorKind, Severity};

use crate::METRIC;

#[test]
fn all_problems_of_a_folder_are_found_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a.yml", b"action: one\nidentifers: [user]\nmilestone: 1.0\n");
    write("b/c.yaml", b"action: one\n");
    write("b/d.yml", b"action: [\n");
    write("b/e.yml", b"action: t\xc3\xa4g\nx-note: \xff\n");
    write("m.yml", format!("{METRIC}events:\n- name: on\n").as_bytes());
    write("n.yml", b"key_path: counts.x\ndata_source: system\ntime_frame: none\n");
    write(".hidden/z.yml", b"nonsense");
    write(".z.yml", b"nonsense");
    write("readme.md", b"nonsense");
    let checked = Definitions::check(folder.path()).unwrap();
    assert!(checked.definitions().is_none());
    let base = format!("{}/", folder.path().display());
    let found: Vec<String> =
        checked.problems().iter().map(|problem| problem.to_string().replace(&base, "")).collect();
    let expected = [
        "a.yml:2:1: error: unknown key `identifers`; did you mean `identifiers`?",
        "a.yml:3:12: error: `milestone` must be text, found the number 1.0; quote it as '1.0'",
        "b/c.yaml:1:9: error: the event `one` is already defined at a.yml:1:9; remove one of them",
        "b/d.yml:1:9: error: this is not valid YAML",
        "b/e.yml:2:9: error: the file is not UTF-8 from here on",
        "m.yml:5:9: warning: no definition here declares the event `on`; did you mean `one`?",
        "n.yml:1:11: error: the metric `counts.x` is already defined at m.yml:1:11; remove one of them",
    ];
    for line in expected {
        assert!(found.iter().any(|problem| problem.starts_with(line)), "{line}\n{found:#?}");
    }
    let errors = checked.problems().iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(errors, 6, "{found:#?}");
    assert_eq!(Definitions::load(folder.path()).unwrap_err().problems().len(), 6);
}

#[test]
fn paths_without_definitions_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let error = Definitions::load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Definitions);
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("events")).unwrap();
    std::fs::write(folder.path().join("events/a.yml"), "action: a\n").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("events/loop")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("events"), folder.path().join("other")).unwrap();
    assert_eq!(Definitions::load(folder.path()).unwrap().events().len(), 1);
    std::os::unix::fs::symlink(folder.path().join("gone"), folder.path().join("b.yml")).unwrap();
    let error = Definitions::load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("b.yml: error: this is a link to nothing"), "{error}");
}

#[test]
fn a_folder_nested_too_deep_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let deep = (0..40).fold(folder.path().to_owned(), |path, _| path.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("a.yml"), "action: a\n").unwrap();
    assert!(Definitions::load(folder.path()).unwrap_err().to_string().contains("nested deeper than 32"));
}
