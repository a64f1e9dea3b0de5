//! CASIA-WebFace as InsightFace distributes it: aligned faces in one RecordIO file.

use std::path::{Path, PathBuf};

use super::{places, recordio};
use crate::{Dataset, DatasetEntry, DatasetError, Request};

const TITLE: &str = "CASIA-WebFace";
const REMEDY: &str = "put train.rec with train.idx (and train.lst and property, where there are) \
    in casia-webface/ below the data folder, or name \
    the file as `recordio:PATH/train.rec`; InsightFace's data set zoo lists it as \
    faces_webface_112x112";
/// Folders it is found in, the last for files under no particular name.
const FOLDERS: [&str; 5] =
    ["casia-webface", "CASIA-WebFace", "casia_webface", "faces_webface_112x112", "recordio"];

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "casia-webface",
    summary: "half a million faces of 10,572 persons, 112x112 colour, by person; \
        `recordio:PATH/train.rec` names another such file",
    reference: "D. Yi, Z. Lei, S. Liao and S. Z. Li, Learning face representation from scratch, \
        arXiv:1411.7923, 2014",
    licence: "non-commercial research only",
    open,
    present: |root| places::presence(find(root)),
    fetch: None,
};

fn find(root: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let dirs = places::folders(TITLE, root, &FOLDERS, REMEDY)?;
    places::find("CASIA-WebFace's train.rec", &dirs, &["train.rec"], REMEDY)
}

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let rec = find(req.root)?;
    let mut card = ENTRY.card(TITLE);
    card.notes.push(format!("read from {}", rec.display()));
    recordio::open_rec(&rec, card, req)
}
