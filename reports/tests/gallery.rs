//! The gallery of `docs/figures.md` is what the committed run gives: every picture pixel for pixel,
//! every declaration word for word.
//!
//! `cargo xtask gallery` writes pictures and declarations anew; look at the difference before you
//! commit it.

use reports::{StyleName, write_paper};
use std::path::{Path, PathBuf};

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Whether `cargo xtask gallery` asks for what is committed to be written over.
fn drawn_anew() -> bool {
    std::env::var_os("BENCH_DRAW_GALLERY").is_some()
}

/// The `[[figure]]` tables of a suite as written, with their names.
fn declarations(text: &str) -> Vec<(String, String)> {
    let block = |rest: &str| {
        let end = rest.find("\n[").unwrap_or(rest.len());
        format!("[[figure]]{}", rest[..end].trim_end())
    };
    let name = |block: &str| {
        let line = block.lines().find(|l| l.starts_with("name")).expect("a figure has a name");
        line.split('"').nth(1).expect("a name is quoted").to_owned()
    };
    let blocks = text.split("[[figure]]").skip(1).map(block);
    blocks.map(|block| (name(&block), block)).collect()
}

/// The document with the first TOML block of section `name` replaced; as it is where there is no
/// such section.
fn declared(document: &str, name: &str, block: &str) -> String {
    let section = format!("\n## {name}\n");
    let Some(from) = document.find(&section) else { return document.into() };
    let Some(start) = document[from..].find("```toml\n").map(|at| from + at + 8) else {
        return document.into();
    };
    let Some(end) = document[start..].find("\n```").map(|at| start + at) else {
        return document.into();
    };
    format!("{}{block}{}", &document[..start], &document[end..])
}

/// What the run gives and what is committed; writes the one over the other where that is asked for.
fn compare(fresh: &Path, committed: &Path) {
    let made = std::fs::read(fresh).unwrap_or_else(|e| panic!("{}: {e}", fresh.display()));
    if drawn_anew() {
        std::fs::create_dir_all(committed.parent().unwrap()).unwrap();
        std::fs::write(committed, &made).unwrap();
    }
    // Pixels, not files: how a PNG is packed depends on which compressor a build of the whole
    // workspace selects.
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
    let same = std::fs::read(committed).is_ok_and(|there| pixels(&there) == pixels(&made));
    assert!(
        same,
        "{} is not what the run gives; cargo xtask gallery writes it anew",
        committed.display()
    );
}

/// The run behind the gallery: without it nothing would be compared.
fn gallery() -> PathBuf {
    let run = folder("tests/gallery");
    let there = run.join("run.json").is_file();
    assert!(
        there,
        "{} is missing: the gallery's run belongs to the source tree",
        run.join("run.json").display()
    );
    run
}

#[test]
fn the_gallery_is_what_the_run_gives() {
    let run = gallery();
    let docs = folder("../docs");
    let info = record::RunInfo::read(&run).unwrap();
    let figures = declarations(&info.suite.text);
    let out = tempfile::tempdir().unwrap();
    let summary = write_paper(&run, out.path(), StyleName::Acm, None).unwrap();
    assert!(summary.errors.is_empty(), "{:?}", summary.errors);
    assert_eq!(summary.figures, figures.len());
    let page = docs.join("figures.md");
    let mut text = std::fs::read_to_string(&page).unwrap();
    for (name, block) in &figures {
        let committed = format!("figures/{name}.png");
        compare(&out.path().join("figures").join(format!("{name}.png")), &docs.join(&committed));
        if drawn_anew() {
            text = declared(&text, name, block);
            std::fs::write(&page, &text).unwrap();
        }
        assert!(text.contains(&format!("\n## {name}\n")), "docs/figures.md has no section {name}");
        assert!(
            text.contains(&format!("```toml\n{block}\n```")),
            "docs/figures.md declares {name} otherwise"
        );
        assert!(
            text.contains(&format!("]({committed})")),
            "docs/figures.md does not show {committed}"
        );
    }
    for kind in suites::figure::FigureKind::ALL {
        let shown = figures.iter().any(|(_, block)| block.contains(&format!("kind = \"{kind}\"")));
        assert!(shown, "the gallery has no {kind}");
    }
}
