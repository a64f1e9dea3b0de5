//! What each defense leaves of the same pictures: the truth, then a row a defense, by the
//! strongest attack tried on it.

use super::Work;
use super::grid::{Image, choose, image_key};
use super::montage::picture;
use crate::figure::chart::{Body, Hero, HeroPicture, HeroRow, HeroShown, Picture};
use crate::figure::data::{Sheet, shown};
use crate::figure::filter::Picked;
use crate::identified::Identified;
use crate::standing::{self, Stand};
use record::MetricInfo;
use suites::SpecError;

/// Images shown where nothing is said.
const IMAGES: usize = 8;
/// Rows that still fit a page.
const ROWS: usize = 12;

/// What all rows are made with.
struct Frame {
    images: Vec<Image>,
    psnr: MetricInfo,
    lpips: Option<MetricInfo>,
}

pub(super) fn hero(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let psnr = work.run.metric("psnr");
    work.sign("kind", &psnr)?;
    let (stands, left) = standing::stands(work.run, &work.picked);
    if !left.is_empty() {
        work.remark(format!(
            "one setting of each defense, source and vantage is shown; the others differ in {}",
            left.join(", ")
        ));
    }
    let found = stands.len();
    let stands = standing::fitting(work.run, stands, ROWS);
    if found > ROWS {
        work.remark(format!(
            "{ROWS} of {found} rows shown, one of each defense before the second of any"
        ));
    }
    let most = work.spec.images.unwrap_or(IMAGES);
    let strongest = stands.iter().map(Stand::strongest).filter(|cells| !cells.is_empty());
    let images = choose(work, strongest, most);
    let frame = Frame { images, psnr, lpips: standing::lpips(work.run) };
    let mut sheet = Sheet::new(SHEET);
    let truths = truths(work, &frame.images);
    let rows: Vec<HeroRow> = stands.iter().map(|s| row(work, &frame, s, &mut sheet)).collect();
    let pictured = rows.iter().any(|row| match &row.shown {
        HeroShown::Pictures(all) => all.iter().any(|p| p.picture != Picture::Gone),
        HeroShown::Words(_) => false,
    });
    if let Some(lpips) = &frame.lpips {
        work.remark(format!("LPIPS is {}", lpips.name));
    }
    let hero = Hero { truths, rows };
    Ok((Body::Hero(hero), if pictured { sheet } else { Sheet::default() }))
}

fn truths(work: &mut Work, images: &[Image]) -> Vec<HeroPicture> {
    let file = |image: &Image| work.run.records[image.at].images[image.place].truth_png.clone();
    let files: Vec<Option<String>> = images.iter().map(file).collect();
    files.into_iter().map(|file| framed(work, file.as_deref())).collect()
}

/// A picture of the run folder, or the word for why there is none.
fn framed(work: &mut Work, file: Option<&str>) -> HeroPicture {
    let word = if file.is_some() { "no file" } else { "not kept" };
    let found = picture(work, file, String::new()).map(|cell| cell.picture);
    HeroPicture { picture: found.unwrap_or(Picture::Gone), word: word.into() }
}

fn row(work: &mut Work, frame: &Frame, stand: &Stand, sheet: &mut Sheet) -> HeroRow {
    let run = work.run;
    let silence = stand.silence(run);
    work.used.extend(stand.cells.iter().map(|c| c.at));
    let attack = stand.attack(run).map(|attack| format!("by {attack}"));
    let notes = attack.into_iter().chain(stand.claim(run)).collect();
    let shown = match silence {
        Some(words) => {
            sheet.push(frame.sheet_row(work, stand, None, &words));
            HeroShown::Words(words)
        }
        None => {
            let one = |at: usize| guess(work, frame, stand, at, sheet);
            HeroShown::Pictures((0..frame.images.len()).map(one).collect())
        }
    };
    HeroRow { name: stand.name.clone(), notes, shown, values: frame.values(work, stand) }
}

/// What the strongest attack made of the image in column `column`.
fn guess(
    work: &mut Work,
    frame: &Frame,
    stand: &Stand,
    column: usize,
    sheet: &mut Sheet,
) -> HeroPicture {
    let cells = stand.strongest();
    let key = &frame.images[column].key;
    let Some((at, place)) = find(work, cells, key) else {
        let lost = cells.iter().any(|c| c.lost > 0);
        let word = if lost { "failed" } else { "not tried" };
        sheet.push(frame.sheet_row(work, stand, None, word));
        return HeroPicture { picture: Picture::Gone, word: word.into() };
    };
    let file = work.run.records[at].images[place].guess_png.clone();
    let framed = framed(work, file.as_deref());
    let word = if framed.picture == Picture::Gone { framed.word.as_str() } else { "" };
    sheet.push(frame.sheet_row(work, stand, Some((at, place)), word));
    framed
}

/// The first reconstruction of an image, as cell and place.
fn find(work: &Work, cells: &[Picked], key: &str) -> Option<(usize, usize)> {
    let all = cells.iter().flat_map(|c| c.images.iter().map(|place| (c.at, *place)));
    all.into_iter().find(|(at, place)| image_key(work.run, *at, *place) == key)
}

/// The columns of the sheet: a row has the mean values of its defense and those of one picture.
const SHEET: [&str; 16] = [
    "row",
    "attack",
    "claim",
    "mean_psnr",
    "low",
    "high",
    "floor_psnr",
    "mean_lpips",
    "identified",
    "of",
    "candidates",
    "accuracy",
    "cell",
    "image",
    "psnr",
    "picture",
];

impl Frame {
    /// The numbers of a row, each with its name and what it is held against.
    fn values(&self, work: &Work, stand: &Stand) -> Vec<Vec<String>> {
        let run = work.run;
        let under = stand.beats_floor(run) == Some(false);
        let below = if under { "below floor" } else { "floor" };
        let floor = stand.floor(run).map(|v| format!("{below} {}", self.psnr.show(v)));
        let show = |name: &str, metric: &MetricInfo, value: Option<f64>| {
            value
                .map(|v| format!("{name} {} {}", metric.show(v), metric.unit).trim_end().to_owned())
        };
        let psnr = show(&self.psnr.title, &self.psnr, stand.point.leak.value);
        let lpips = self.lpips.as_ref().and_then(|m| show("LPIPS", m, stand.mean(run, m)));
        let own = stand.identified(run);
        let chance = own.as_ref().and_then(Identified::chance);
        let identified = own.map(|i| format!("{} identified", i.counts()));
        let worth = stand.accuracy(run);
        let accuracy = worth.value.map(|share| format!("accuracy {share:.3}"));
        let sure = worth.interval.map(|(low, high)| format!("[{low:.2}, {high:.2}]"));
        let sure = sure.or((worth.n > 1).then(|| format!("{} trainings", worth.n)));
        let all = [(psnr, floor), (lpips, None), (identified, chance), (accuracy, sure)];
        let told = |(value, note): (Option<String>, Option<String>)| {
            Some(std::iter::once(value?).chain(note).collect())
        };
        all.into_iter().filter_map(told).collect()
    }

    fn sheet_row(
        &self,
        work: &Work,
        stand: &Stand,
        place: Option<(usize, usize)>,
        word: &str,
    ) -> Vec<String> {
        let run = work.run;
        let (low, high) = stand.point.leak.interval.unzip();
        let own = stand.identified(run);
        let count = |of: Option<usize>| of.map_or(String::new(), |n| n.to_string());
        let image = place.map(|(at, place)| &run.records[at].images[place]);
        let score = image.and_then(|i| i.scores.get("psnr").copied().flatten());
        let file = image.and_then(|i| i.guess_png.clone()).filter(|_| word.is_empty());
        vec![
            stand.name.clone(),
            stand.attack(run).unwrap_or_default().to_owned(),
            stand.claim(run).unwrap_or_default(),
            shown(stand.point.leak.value),
            shown(low),
            shown(high),
            shown(stand.floor(run)),
            shown(self.lpips.as_ref().and_then(|m| stand.mean(run, m))),
            count(own.as_ref().and_then(|i| i.share.successes)),
            count(own.as_ref().map(|i| i.share.n)),
            count(own.and_then(|i| i.candidates)),
            shown(stand.accuracy(run).value),
            run.records[place.map_or(stand.at(), |(at, _)| at)].id.to_string(),
            count(image.map(|i| i.id)),
            shown(score),
            file.unwrap_or_else(|| word.to_owned()),
        ]
    }
}
