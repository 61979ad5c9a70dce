//! The repository's own rules, checked as text.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir()
            && name != "target"
            && !name.starts_with('.')
            && name != "model"
            && name != "download"
        {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(root(), "rs", &mut found);
    found
}

#[test]
fn every_path_named_in_the_architecture_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let named = text.split('`').skip(1).step_by(2);
    let paths = named.filter(|word| word.contains('/') && !word.contains(' ') && !word.contains("::"));
    let missing: Vec<&str> = paths.filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}

#[test]
fn every_compile_fail_case_has_its_message() {
    let mut cases = Vec::new();
    files(&root().join("tests/ui"), "rs", &mut cases);
    let bare: Vec<_> = cases.iter().filter(|case| !case.with_extension("stderr").exists()).collect();
    assert!(bare.is_empty(), "cases without a reviewed .stderr: {bare:?}");
    assert!(cases.len() >= 30, "only {} cases", cases.len());
}

#[test]
fn no_file_defers_or_silences_a_test() {
    let forbidden = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    for file in rust_files() {
        let text = fs::read_to_string(&file).expect("a source file is readable");
        for word in forbidden {
            assert!(!text.contains(word), "{} contains {word}", file.display());
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for file in rust_files() {
        if file.components().any(|part| part.as_os_str() == "ui") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file is readable");
        assert!(text.starts_with("//!") || text.starts_with("#!["), "{} has no `//!` text", file.display());
    }
}
