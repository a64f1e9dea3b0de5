//! `docs/limits.md` states the limits that are in force.

use suites::foreign::limits::{BASE_PIXELS, LIMITS, Limit, MOST_PIXELS, PIXELS_A_BYTE};

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/limits.md");
    std::fs::read_to_string(path).unwrap()
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b.is_multiple_of(1 << 30) => format!("{} GiB", b >> 30),
        b => format!("{} MiB", b >> 20),
    }
}

fn cells(limit: &Limit) -> Vec<String> {
    let Limit { kind, file, base, ratio, elements, seconds } = *limit;
    let numbers = [ratio, elements, seconds].map(|n| n.to_string());
    [kind.to_string(), size(file), size(base)].into_iter().chain(numbers).collect()
}

#[test]
fn the_table_is_that_of_the_code() {
    let text = document();
    let rows = text.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| kind"));
    let written: Vec<Vec<String>> = rows
        .map(|line| line.trim_matches('|').split('|').map(|c| c.trim().to_string()).collect())
        .map(|mut cells: Vec<String>| {
            cells.remove(1);
            cells
        })
        .collect();
    let told: Vec<Vec<String>> = LIMITS.iter().map(|limit| cells(limit)).collect();
    assert_eq!(written, told);
    let pixels = format!(
        "at most {MOST_PIXELS} pixels, and at most {BASE_PIXELS} and {PIXELS_A_BYTE} more for each"
    );
    assert!(text.contains(&pixels), "{pixels}");
    assert_eq!(suites::MAX_CELLS as u64, suites::foreign::limits::SUITE.elements);
}
