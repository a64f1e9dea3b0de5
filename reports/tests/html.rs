//! report.html: what is in it, and that it works in a browser.

#[path = "html/browser.rs"]
mod browser;
use browser::Browser;
use image::{Rgb, RgbImage};
use record::testing::{from_spec, info, record};
use record::{CellRecord, DefenseNote, Outcome, RunStore};
use reports::write_report;
use serde_json::Value;
use std::path::{Path, PathBuf};
use suites::{CellSpec, Named, Suite};

const EVIL: &str = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)> \
    & \"quoted\" | piped";

/// Writes a run into `dir/run`, with the pictures that lie in `dir/artifacts`, and its report;
/// returns the page.
fn write(dir: &Path, records: &[CellRecord], planned: usize) -> PathBuf {
    let mut info = info("a");
    info.suite.description = EVIL.into();
    let later = (0..planned).map(|seed| record("dlg", 900 + seed as u64, &[1.0]).id);
    info.suite.cells = records.iter().map(|r| r.id.clone()).chain(later).collect();
    let (run, artifacts) = (dir.join("run"), dir.join("artifacts"));
    let mut store = RunStore::create(&run, info).unwrap();
    if artifacts.is_dir() {
        std::fs::rename(artifacts, run.join("artifacts")).unwrap();
    }
    records.iter().for_each(|r| store.append(r).unwrap());
    write_report(&run).unwrap();
    run.join("report/report.html")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The block of data in the page.
fn data(page: &str) -> Value {
    let block = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(block).unwrap()
}

/// A picture of one image of a record, in the run folder.
fn picture(dir: &Path, record: &mut CellRecord, image: usize, shades: [u8; 2]) {
    let folder = format!("artifacts/{}", record.id);
    std::fs::create_dir_all(dir.join(&folder)).unwrap();
    let [truth, guess] = [("truth", shades[0]), ("guess", shades[1])].map(|(kind, shade)| {
        let path = format!("{folder}/trial-{image}-0-{kind}.png");
        RgbImage::from_pixel(16, 16, Rgb([shade, 80, 255 - shade])).save(dir.join(&path)).unwrap();
        path
    });
    (record.images[image].truth_png, record.images[image].guess_png) = (Some(truth), Some(guess));
}

/// Cells of every kind: scored, odd scores, a defense, failed, not applicable, without pictures or
/// trace.
fn cells(dir: &Path) -> Vec<CellRecord> {
    let mut plain = record("dlg", 0, &[9.0, 12.0, 10.5]);
    (0..3).for_each(|i| picture(dir, &mut plain, i, [10 + i as u8, 200]));
    let mut odd = record("idlg", 0, &[f64::INFINITY, f64::NAN, f64::NEG_INFINITY]);
    odd.trace[1].objective = vec![None, Some(f64::INFINITY), Some(-1.0)];
    odd.images[0].truth_png = Some(["..", "..", "secret.png"].join("/"));
    odd.images[1].truth_png = Some("artifacts/gone.png".into());
    odd.flags.push(EVIL.parse().unwrap());
    let mut spec = CellSpec::new("photos", "simple-cnn", "dlg");
    spec.attack = Named::new("dlg").with("iterations", 300).with("patience", Value::Null);
    spec.defenses = vec![Named::new("dp-local").with("epsilon", 8)];
    spec.trials = 2;
    let mut defended = from_spec(spec, &[100.5, 101.0]);
    let claim = format!("(epsilon = 8, delta = 1e-5)-DP {EVIL}");
    defended.defenses = vec![DefenseNote {
        name: "dp-local".into(),
        claim,
        values: [("epsilon".into(), 8.0)].into(),
        adaptive: None,
    }];
    defended.notes = vec![EVIL.into()];
    let mut failed = record("fl-attack", 3, &[]);
    failed.spec.trials = 4;
    failed.id = failed.spec.id();
    (failed.images, failed.baselines, failed.trace) = (Vec::new(), Default::default(), Vec::new());
    failed.outcome = Outcome::Failed { stage: "attack".into(), message: EVIL.into() };
    let mut none = record("gan", 4, &[]);
    none.outcome = Outcome::NotApplicable { why: "needs labels".into() };
    vec![plain, odd, defended, failed, none]
}

#[test]
fn the_page_holds_what_the_report_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &cells(dir.path()), 2);
    let (page, markdown) = (read(&path), read(&path.with_file_name("report.md")));
    let data = data(&page);
    assert_eq!((data["open"].clone(), data["cells"].as_array().unwrap().len()), (2.into(), 5));
    // Every row of every table of report.md, to the letter.
    let all = ["main", "sections"].map(|part| data[part].as_array().unwrap().clone()).concat();
    let sections = &all;
    let rows = sections.iter().map(|s| {
        s["rows"].as_array().unwrap().len() + usize::from(!s["head"].as_array().unwrap().is_empty())
    });
    let written =
        markdown.lines().filter(|l| l.starts_with('|') && !l.starts_with("| ---")).count();
    assert_eq!(rows.sum::<usize>(), written);
    let escaped = |c: &Value| {
        c.as_str().unwrap().replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
    };
    for row in sections.iter().flat_map(|s| s["rows"].as_array().unwrap()) {
        let line = row.as_array().unwrap().iter().map(escaped).collect::<Vec<_>>().join(" | ");
        assert!(markdown.contains(&format!("| {line} |")), "{line}");
    }
    // The row of a cell has the same texts as that of the report's own table.
    let reconstruction = sections.iter().find(|s| s["title"] == "Reconstruction").unwrap();
    let column = |table: &Value, name: &str| {
        table["head"].as_array().unwrap().iter().position(|h| h == name).unwrap()
    };
    for name in ["n", "PSNR (dB) ↑", "SSIM ↑", "MSE ↓"] {
        let (own, theirs) = (column(&data["table"], name), column(reconstruction, name));
        for row in reconstruction["rows"].as_array().unwrap().iter().filter(|r| r[0] != "") {
            let at = row[0].as_str().unwrap().parse::<usize>().unwrap() - 1;
            assert_eq!(data["table"]["rows"][at][own], row[theirs], "cell {} {name}", at + 1);
        }
    }
    assert!(
        data["table"]["rows"][1].as_array().unwrap().iter().any(|c| c == "1 (1 capped, 2 failed)")
    );
    let raw: Vec<_> = (3..6).map(|i| data["images"]["rows"][i][7].as_str().unwrap()).collect();
    assert_eq!(raw, ["inf", "NaN", "-inf"]);
    let states: Vec<_> =
        (3..6).map(|i| data["images"]["pictures"][i][0].as_str().unwrap()).collect();
    assert_eq!(states, ["outside", "missing", "none"]);
}

#[test]
fn the_same_records_give_the_same_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &cells(dir.path()), 0);
    let first = read(&path);
    write_report(&dir.path().join("run")).unwrap();
    assert_eq!(read(&path), first);
    assert_eq!(
        first.matches("owned").count(),
        first.matches("\\u003cscript>document.title='owned'").count()
    );
    assert!(!first.contains("src=\"http") && !first.contains("href=\"http"));
}

#[test]
fn an_empty_run_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = read(&write(dir.path(), &[], 3));
    assert_eq!(data(&page)["open"], 3);
}

/// The browser, or `None` where there is none; `CI_BROWSER=1` insists.
fn chrome() -> Option<PathBuf> {
    let found = browser::find();
    if found.is_none() {
        assert!(
            std::env::var_os("CI_BROWSER").is_none(),
            "CI_BROWSER is set and no browser was found"
        );
        println!(
            "skipped: no chromium, chromium-browser or google-chrome on the path, and CHROME is \
             not set"
        );
    }
    found
}

/// The cell numbers in the table of cells, as shown.
fn order(page: &mut Browser) -> Vec<u64> {
    let shown = page.eval(
        "[...document.querySelectorAll('#cells tbody [data-cell]')].map(b => \
            Number(b.dataset.cell))",
    );
    shown.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

fn focus_title(page: &mut Browser, title: &str) {
    page.eval(&format!(
        "[...document.querySelectorAll('#cells thead button')].find(b => \
        b.textContent.startsWith('{title}')).focus()"
    ));
}

/// The details are folded away until they are asked for, and the key of the filter unfolds its
/// table.
fn folds_away(page: &mut Browser) {
    let open = "document.querySelectorAll('#details > section > details[open]').length";
    assert_eq!(page.eval(open), 0);
    page.press("/");
    assert_eq!(page.eval("document.activeElement.id"), "filter");
    assert_eq!(page.eval(open), 1);
    unfold(page);
}

fn unfold(page: &mut Browser) {
    page.eval("document.querySelectorAll('#details details').forEach(d => { d.open = true; })");
    page.eval("document.activeElement.blur()");
}

fn sorts_and_filters(page: &mut Browser) {
    // Means 10.5, 100 (of one, capped), 100 (two capped), none, none: numbers as numbers, what is
    // missing last.
    focus_title(page, "PSNR (dB)");
    page.press("Enter");
    assert_eq!(order(page), [1, 2, 3, 4, 5]);
    let title = "document.activeElement.textContent + \
        document.activeElement.closest('th').getAttribute('aria-sort')";
    assert_eq!(page.eval(title), "PSNR (dB) ↑ ▲ascending".to_string().as_str());
    page.press("Enter");
    assert_eq!(order(page), [2, 3, 1, 4, 5]);
    page.press("Enter");
    assert_eq!(order(page), [1, 2, 3, 4, 5]);
    page.eval("document.activeElement.blur()");
    page.press("/");
    assert_eq!(page.eval("document.activeElement.id"), "filter");
    page.write("psnr>50 dlg");
    assert_eq!(order(page), [2, 3]);
    assert_eq!(page.eval("document.querySelector('#cells .count').textContent"), "2 of 5 rows");
    assert_eq!(page.eval("document.querySelectorAll('#pictures .card').length"), 2);
    page.press("Escape");
    assert_eq!(order(page), [1, 2, 3, 4, 5]);
}

fn moves_the_slider(page: &mut Browser) {
    page.eval("document.querySelector('#pictures .stack input').focus()");
    (0..5).for_each(|_| page.press("ArrowRight"));
    let state = "(s => {
        const input = s.querySelector('input'), truth = s.querySelector('.truth');
        const whole = [...s.querySelectorAll('img')].every(i => i.naturalWidth === 16);
        return [input.value, s.style.getPropertyValue('--cut'),
            input.getAttribute('aria-valuetext'), getComputedStyle(truth).clipPath, whole];
        })(document.querySelector('#pictures .stack'))";
    let want = serde_json::json!(["55", "55%", "55 % truth", "inset(0px 45% 0px 0px)", true]);
    assert_eq!(page.eval(state), want);
}

fn opens_cells(page: &mut Browser, records: &[CellRecord]) {
    page.eval("document.querySelector('#cells [data-cell=\"3\"]').focus()");
    page.press("Enter");
    assert_eq!(page.eval("document.getElementById('cell').open"), true);
    let text = page.eval("document.getElementById('cell').innerText").as_str().unwrap().to_owned();
    let wanted = [
        "Cell 3",
        "null: grey",
        "(epsilon = 8, delta = 1e-5)-DP",
        "no adaptive attack registered",
        "2 (2 capped)",
        EVIL,
        "bytes up a client",
    ];
    wanted.iter().for_each(|w| assert!(text.contains(w), "{w} is not in {text}"));
    let command = page.eval(
        "document.querySelector('#cell [aria-label=\"command that reruns this cell\"]').innerText",
    );
    let command = command.as_str().unwrap();
    let id = &records[2].id;
    assert!(
        command.ends_with(&format!(
            "\nbench suite cell-{id}.toml --device cpu --out runs/cell-{id}\n"
        )),
        "{command}"
    );
    let suite = command.split_once("<<'EOF'\n").unwrap().1.split_once("EOF\n").unwrap().0;
    // What `bench` does to every suite: parameters that have no value by default are spelled out.
    let mut cell = Suite::parse("cell.toml", suite, None, &[]).unwrap().cells.remove(0);
    cell.attack.params.insert("patience".into(), Value::Null);
    assert_eq!(&cell.id(), id);
    page.eval("document.querySelector('#cell .copy').click()");
    page.press("n");
    assert_eq!(page.eval("document.getElementById('cell-title').textContent"), "Cell 4");
    assert!(
        page.eval("document.getElementById('cell').innerText")
            .as_str()
            .unwrap()
            .contains("4 images count as tries without success")
    );
    page.press("Escape");
    assert_eq!(page.eval("document.getElementById('cell').open"), false);
    // A dialog tells that it is closed in a task of its own.
    let focused = "new Promise(r => requestAnimationFrame(() => setTimeout(() => \
        r(document.activeElement.dataset.cell))))";
    assert_eq!(page.eval(focused), "4");
}

#[test]
fn it_works_in_a_browser() {
    let Some(chrome) = chrome() else { return };
    let dir = tempfile::tempdir().unwrap();
    let records = cells(dir.path());
    let path = write(dir.path(), &records, 1);
    let mut page = Browser::start(&chrome, 1280);
    assert_eq!(page.open(&path, ""), Vec::<String>::new());
    assert_eq!(page.eval("document.title"), "suite demo");
    assert!(
        page.eval("document.getElementById('verdict').textContent")
            .as_str()
            .unwrap()
            .contains("This run is not finished: 1 cell of 6 not run yet.")
    );
    folds_away(&mut page);
    assert!(page.eval("document.body.innerText").as_str().unwrap().contains(EVIL));
    sorts_and_filters(&mut page);
    moves_the_slider(&mut page);
    opens_cells(&mut page, &records);
    assert_eq!(page.complaints(), Vec::<String>::new());
    for width in [1280, 390, 320] {
        page.resize(width);
        for fragment in [String::new(), format!("cell-{}", records[2].id)] {
            assert_eq!(page.open(&path, &fragment), Vec::<String>::new());
            let wide = "[document.documentElement.scrollWidth - innerWidth, \
                document.getElementById('cell').scrollWidth - innerWidth].map(v => Math.max(0, v))";
            assert_eq!(page.eval(wide), serde_json::json!([0, 0]), "{width} {fragment}");
            keys_stay(&mut page, width);
        }
    }
}

/// The first column of the main table stays where it is while the others scroll, and a line says
/// that they do.
fn keys_stay(page: &mut Browser, width: u32) {
    let script = "(box => { const left = () => \
        box.querySelector('tbody td').getBoundingClientRect().left; const before = left(); \
        box.scrollLeft = 200; const told = [box.scrollWidth > box.clientWidth + 1, \
        getComputedStyle(box.previousElementSibling).display !== 'none', \
        Math.abs(left() - before) < 2]; box.scrollLeft = 0; return told; })\
        (document.querySelector('#main > section .scroll'))";
    let told = page.eval(script);
    assert_eq!((&told[0], &told[2]), (&told[1], &Value::Bool(true)), "{width}");
    assert!(width > 400 || told[0] == true, "{width}: nothing scrolls");
}

#[test]
fn the_policy_holds() {
    let Some(chrome) = chrome() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &cells(dir.path()), 0);
    let text = read(&path);
    let mut page = Browser::start(&chrome, 1280);
    let copy = path.with_file_name("copy.html");
    let added = [
        "<script>document.title='owned'</script>",
        "<img src=\"https://example.org/x.png\">",
        "<p onclick=\"1\" style=\"color:red\">x</p>",
    ];
    for intruder in added {
        std::fs::write(&copy, text.replace("</body>", &format!("{intruder}</body>"))).unwrap();
        let said = page.open(&copy, "");
        assert!(said.iter().any(|s| s.contains("Content Security Policy")), "{intruder}: {said:?}");
        assert_eq!(page.eval("document.title"), "suite demo");
    }
}

/// Every row of `list`, over and over for `count` cells, under new numbers where a row begins with
/// its cell's.
fn repeat(list: &mut Value, cells: usize, count: usize) {
    let old = list.as_array().unwrap().clone();
    let renumbered = |turn: usize, row: &Value| {
        let mut row = row.clone();
        if let Some(own) = row[0].as_str().and_then(|n| n.parse::<usize>().ok()) {
            row[0] = (turn * cells + own).to_string().into();
        }
        row
    };
    *list = (0..count.div_ceil(cells))
        .flat_map(|turn| old.iter().map(move |row| renumbered(turn, row)))
        .collect();
}

/// The data of a run made `count` cells long by repeating its cells.
fn repeated(mut data: Value, count: usize) -> Value {
    let cells = data["cells"].as_array().unwrap().len();
    for list in ["/table/rows", "/images/rows", "/cells", "/traces", "/images/pictures"] {
        repeat(data.pointer_mut(list).unwrap(), cells, count);
    }
    for section in
        data["sections"].as_array_mut().unwrap().iter_mut().filter(|s| s["head"][0] == "#")
    {
        repeat(&mut section["rows"], cells, count);
    }
    data
}

#[test]
fn a_thousand_cells_stay_usable() {
    let Some(chrome) = chrome() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &cells(dir.path()), 0);
    let text = read(&path);
    let many = repeated(data(&text), 1000).to_string().replace('<', "\\u003c");
    let (before, after) = text.split_once("id=\"data\">").unwrap();
    let large = path.with_file_name("large.html");
    std::fs::write(
        &large,
        format!("{before}id=\"data\">{many}{}", &after[after.find("</script>").unwrap()..]),
    )
    .unwrap();
    let bytes = std::fs::metadata(&large).unwrap().len();
    assert!(bytes < 10_000_000, "{bytes} bytes");
    let mut page = Browser::start(&chrome, 1280);
    assert_eq!(page.open(&large, ""), Vec::<String>::new());
    let loaded = page
        .eval("performance.timing.loadEventEnd - performance.timing.navigationStart")
        .as_f64()
        .unwrap();
    unfold(&mut page);
    focus_title(&mut page, "PSNR (dB)");
    let click = "(() => { const t = performance.now(); document.activeElement.click();
        return performance.now() - t; })()";
    let sorted = page.eval(click);
    println!("1,000 cells: {bytes} bytes, loaded in {loaded} ms, sorted in {sorted} ms");
    assert_eq!(page.eval("document.querySelector('#cells .count').textContent"), "1000 rows");
    let shown = order(&mut page);
    assert!(shown.len() == 100 && shown.iter().all(|n| n % 5 == 1), "{shown:?}");
    assert!(loaded < 30_000.0 && sorted.as_f64().unwrap() < 10_000.0);
}
