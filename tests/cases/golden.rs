//! The GPU texts of the gallery, as they are in `tests/golden`: a change of the emission shows as a change of
//! text. `TILEWRIGHT_BLESS=1 cargo test --test cases golden` writes them anew.

use std::path::Path;
use tilewright::prelude::*;

/// Compares a kernel's text with its file.
pub fn compare(name: &str, text: Result<&str, Error>) {
    let text = text.unwrap();
    // On a machine with a GPU the repository may not be there.
    if std::env::var_os("TILEWRIGHT_DEVICE").is_some() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(name).with_extension("cu");
    if std::env::var_os("TILEWRIGHT_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = text.lines().zip(golden.lines()).position(|(now, before)| now != before);
    let line = differs.unwrap_or_else(|| text.lines().count().min(golden.lines().count()));
    assert!(
        text == golden,
        "the text of {name} is no longer {}; line {} is now\n{}\nIf that is meant: TILEWRIGHT_BLESS=1 cargo test --test cases golden",
        file.display(),
        line + 1,
        text.lines().nth(line).unwrap_or_default()
    );
}

/// A test that compares texts of kernels in scope.
macro_rules! golden {
    ($($kernel:ident),*) => {
        #[test]
        fn golden_texts() {
            $($crate::golden::compare(stringify!($kernel), $kernel::source(tilewright::Target::Cuda));)*
        }
    };
}
pub(crate) use golden;
