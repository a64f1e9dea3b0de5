use super::*;
use crate::ink::font;
use std::path::PathBuf;

/// Run folders to try: the one behind the gallery, and what BENCH_RUNS lists.
fn runs() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery");
    let more = std::env::var_os("BENCH_RUNS");
    let more = more.iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
    own.join("run.json").exists().then_some(own).into_iter().chain(more).collect()
}

#[test]
fn nothing_on_the_page_overlaps() {
    for dir in runs() {
        let page = poster(&Run::load(&dir).unwrap());
        assert_eq!(page.size(), A4);
        let least = page.letters().iter().map(|t| t.size).fold(f64::INFINITY, f64::min);
        assert!(least >= 5.0 - 1e-9, "{}: letters of {least} pt", dir.display());
        assert!(page.letters().iter().all(|t| !t.text.contains('`')), "{}", dir.display());
        let boxes: Vec<_> = page.letters().iter().map(|t| (font::bounds(t), &t.text)).collect();
        for (at, ((l, t, r, b), text)) in boxes.iter().enumerate() {
            assert!(
                *l >= 0.0 && *t >= 0.0 && *r <= A4.0 && *b <= A4.1,
                "{}: {text} leaves the page",
                dir.display()
            );
            for ((l2, t2, r2, b2), other) in &boxes[..at] {
                let apart = l + 0.3 >= *r2 || l2 + 0.3 >= *r || t + 0.3 >= *b2 || t2 + 0.3 >= *b;
                assert!(apart, "{}: {text:?} overlaps {other:?}", dir.display());
            }
        }
    }
}

#[test]
fn the_same_run_gives_the_same_poster() {
    for dir in runs() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keep = std::env::var_os("BENCH_DRAWN")
            .map(|d| PathBuf::from(d).join(dir.file_name().unwrap()));
        write_poster(&dir, a.path()).unwrap();
        write_poster(&dir, b.path()).unwrap();
        for name in ["poster.pdf", "poster-a1.pdf", "poster.png"] {
            let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
            assert!(read(a.path()) == read(b.path()), "{name}");
            if let Some(dir) = &keep {
                std::fs::create_dir_all(dir).unwrap();
                std::fs::write(dir.join(name), read(a.path())).unwrap();
            }
        }
    }
}

#[test]
fn what_has_no_room_is_named_and_letters_stay_large_enough() {
    let info = record::RunInfo {
        schema: record::SCHEMA.into(),
        bench_version: "0.1.0".into(),
        suite: record::SuiteInfo { name: "demo".into(), ..Default::default() },
        libtorch: "2.11.0".into(),
        device: "cpu".into(),
        machine: "Linux".into(),
        processor: String::new(),
        overrides: Vec::new(),
        shard: None,
        command: "bench suite demo".into(),
        resume: String::new(),
        elsewhere: Vec::new(),
    };
    let run = Run::new(PathBuf::new(), info, Vec::new());
    let told =
        vec!["A `code` of many words that go on until the line ends and then some. ".repeat(4); 30];
    let parts = (0..6).map(|at| Part::Words(format!("Part {at}"), told.clone())).collect();
    let page = fit(&run, parts, vec!["heat map (no cells)".into()]);
    let said = page.letters().iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("part 5 (no room)") && said.contains("Part 0") && !said.contains('`'),
        "{said}"
    );
    assert!(page.letters().iter().all(|t| t.size >= 5.0 - 1e-9 && font::bounds(t).3 <= A4.1));
}
