use super::*;
use image::{GrayImage, Luma, Rgb, RgbImage};

fn scored(truth: &Path, guess: &Path, pair: bool) -> Result<ScoreTable> {
    let metrics = &metrics::builtin();
    let options = ScoreOptions { metrics, data_root: None, device: Device::Cpu, pair };
    score_files(truth, guess, &options)
}

/// A picture that differs with `seed` everywhere.
fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
    let value = |x: u32, y: u32, c: u32| ((x * 7 + y * 13 + c * 29 + seed * 83) * 37 % 251) as u8;
    RgbImage::from_fn(width, height, |x, y| Rgb([value(x, y, 0), value(x, y, 1), value(x, y, 2)]))
}

fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (truth, guess) = (root.path().join("truth"), root.path().join("guess"));
    std::fs::create_dir(&truth).unwrap();
    std::fs::create_dir(&guess).unwrap();
    (root, truth, guess)
}

#[test]
fn a_pair_of_files() {
    let (_root, truth, guess) = folders();
    let (t, g) = (truth.join("a.png"), guess.join("b.png"));
    picture(1, 16, 12).save(&t).unwrap();
    let mut brighter = picture(1, 16, 12);
    brighter.pixels_mut().for_each(|p| p.0 = p.0.map(|v| v.saturating_add(4)));
    brighter.save(&g).unwrap();
    let table = scored(&t, &g, false).unwrap();
    let psnr = table.rows[0].scores["psnr"].unwrap();
    assert!((psnr - 20.0 * (255.0_f64 / 4.0).log10()).abs() < 0.01, "{psnr}");
    assert_eq!(table.mean, table.rows[0].scores);
    let exact = scored(&t, &t, false).unwrap();
    assert_eq!(exact.rows[0].scores["psnr"], Some(CAP_DB));
    assert_eq!(exact.rows[0].flags, [suites::FlagKind::PsnrCapped.into()]);
    assert!(serde_json::to_string(&exact).unwrap().contains("\"psnr\":100.0"));
    let text = exact.to_string();
    assert!(
        text.contains("psnr") && text.contains("note: lpips-vgg") && text.contains("100.00000"),
        "{text}"
    );
}

#[test]
fn folders_pair_by_name_or_by_content() {
    let (_root, truth, guess) = folders();
    for seed in 0..4 {
        picture(seed, 12, 12).save(truth.join(format!("{seed}.png"))).unwrap();
        picture(3 - seed, 12, 12).save(guess.join(format!("{seed}.bmp"))).unwrap();
    }
    let by_name = scored(&truth, &guess, false).unwrap();
    assert!(by_name.rows.iter().all(|row| row.scores["mse"].unwrap() > 0.0));
    let by_content = scored(&truth, &guess, true).unwrap();
    assert!(by_content.rows.iter().all(|row| row.scores["mse"] == Some(0.0)));
    assert!(by_content.rows[0].guess.ends_with("3.bmp"));
    assert!(by_content.to_string().contains("\nmean "));
}

#[test]
fn grey_meets_rgb() {
    let (_root, truth, guess) = folders();
    let (t, g) = (truth.join("a.png"), guess.join("a.png"));
    GrayImage::from_fn(12, 12, |x, y| Luma([(x * 9 + y * 5) as u8])).save(&t).unwrap();
    RgbImage::from_fn(12, 12, |x, y| Rgb([(x * 9 + y * 5) as u8; 3])).save(&g).unwrap();
    assert_eq!(scored(&t, &g, false).unwrap().rows[0].scores["mse"], Some(0.0));
}

#[test]
fn mistakes_are_one_line_with_the_file() {
    let (_root, truth, guess) = folders();
    let says = |t: &Path, g: &Path, pair, word: &str| {
        let message = scored(t, g, pair).unwrap_err().to_string();
        assert!(message.contains(word) && !message.contains('\n'), "{message}");
    };
    says(&truth, &guess, false, "holds no images");
    let (t, g) = (truth.join("a.png"), guess.join("a.png"));
    picture(0, 16, 12).save(&t).unwrap();
    picture(0, 12, 16).save(&g).unwrap();
    says(&t, &g, false, "has 12x16 pixels");
    says(&truth, &guess, true, "has 12x16 pixels");
    says(&truth, &g, false, "is not a folder");
    says(&t, &guess, false, "is a folder");
    says(&t, &guess.join("none.png"), false, "none.png");
    std::fs::write(&g, b"\x89PNG\r\n\x1a\nnot one").unwrap();
    says(&t, &g, false, "not a readable image");
    picture(0, 16, 12).save(guess.join("b.png")).unwrap();
    says(&truth, &guess, false, "no truth named `b`");
    picture(0, 16, 12).save(truth.join("c.png")).unwrap();
    std::fs::remove_file(guess.join("b.png")).unwrap();
    says(&truth, &guess, false, "no reconstruction named `c`");
    says(&truth, &guess, true, "1 reconstructions for 2 originals");
    picture(0, 16, 12).save(truth.join("c.bmp")).unwrap();
    says(&truth, &guess, false, "same name");
}
