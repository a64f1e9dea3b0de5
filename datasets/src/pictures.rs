//! Which files of a folder are pictures, and what else lies there: one rule for data sets, for
//! `bench predict` and for `bench score`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use suites::foreign::printable;

/// Endings of the picture files that are read, in lower case.
pub const ENDINGS: [&str; 11] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "ppm", "pgm", "pbm", "pnm", "pam"];

/// What systems and tools leave in folders of pictures.
const SYSTEM: [&str; 8] = [
    "__macosx",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
];

/// Folders within folders, at most: a link may lead to a folder that holds it.
const DEPTH: usize = 8;

/// Whether a name is that of a picture that is read, by its ending.
pub fn is_picture(name: &str) -> bool {
    !is_hidden(name) && ENDINGS.contains(&ending(name).as_str())
}

/// Whether a name is hidden or the system's own: never data.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || SYSTEM.contains(&name.to_lowercase().as_str())
}

fn ending(name: &str) -> String {
    name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_lowercase())
}

/// What a walk through folders of pictures passed over, by reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassedOver {
    /// Files of other kinds by their ending.
    pub kinds: BTreeMap<String, usize>,
    /// Names that are hidden or the system's own.
    pub hidden: usize,
    /// Names that are not UTF-8.
    pub unnamed: usize,
    /// Folders within more than eight others.
    pub deep: usize,
}

impl PassedOver {
    /// Counts a file that is none of those that are read.
    pub fn leave_out(&mut self, name: &str) {
        *self.kinds.entry(ending(name)).or_default() += 1;
    }

    /// Counts a folder where pictures alone are read.
    pub fn leave_out_folder(&mut self) {
        *self.kinds.entry("folder".into()).or_default() += 1;
    }

    /// What a reader must be told, one line a reason; hidden names are nobody's data.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.kinds.is_empty() {
            let count: usize = self.kinds.values().sum();
            notes.push(format!(
                "{} of kinds that are not read: {}; save pictures as PNG or JPEG",
                files(count),
                self.named_kinds()
            ));
        }
        if self.unnamed > 0 {
            let count = files(self.unnamed);
            notes.push(format!("{count} whose names are not UTF-8 are not read; rename them"));
        }
        if self.deep > 0 {
            notes.push(format!("{} folders within {DEPTH} others are not read", self.deep));
        }
        notes
    }

    /// The kinds with their counts, such as `webp 9, txt 1`.
    pub fn named_kinds(&self) -> String {
        let name = |ending: &str| if ending.is_empty() { "no ending" } else { ending }.to_owned();
        let one = |(ending, count): (&String, &usize)| format!("{} {count}", name(ending));
        printable(&self.kinds.iter().map(one).collect::<Vec<_>>().join(", ")).into_owned()
    }

    /// Both together.
    pub fn add(&mut self, other: &PassedOver) {
        for (ending, count) in &other.kinds {
            *self.kinds.entry(ending.clone()).or_default() += count;
        }
        self.hidden += other.hidden;
        self.unnamed += other.unnamed;
        self.deep += other.deep;
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

/// What lies in a folder but hidden names, sorted; those are counted, as are names that are not
/// UTF-8.
///
/// # Errors
/// When the folder cannot be read.
pub fn listing(dir: &Path, passed: &mut PassedOver) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        match entry?.file_name().into_string() {
            Ok(name) if is_hidden(&name) => passed.hidden += 1,
            Ok(name) => names.push(name),
            Err(_) => passed.unnamed += 1,
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The pictures in a folder and in all folders in it, as torchvision's `ImageFolder` walks a class,
/// by their paths from there, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn walk(dir: &Path, passed: &mut PassedOver) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), 0)];
    while let Some((below, depth)) = open.pop() {
        for name in listing(&dir.join(&below), passed)? {
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if dir.join(&path).is_dir() {
                if depth < DEPTH {
                    open.push((path, depth + 1));
                } else {
                    passed.deep += 1;
                }
            } else if is_picture(&name) {
                found.push(path);
            } else {
                passed.leave_out(&name);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_count() {
        assert!(is_picture("a.PNG") && is_picture("b.c.jpeg") && is_picture("d.jpe"));
        for name in [".a.png", "._x.png", "png", "Thumbs.db", "a.webp", "__MACOSX"] {
            assert!(!is_picture(name), "{name}");
        }
    }

    #[test]
    fn what_is_passed_over_is_counted_by_reason() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let names =
            ["a.png", "deep/b.JPG", "c.webp", "d.webp", "notes", ".e.png", ".git/f", "Thumbs.db"];
        names.iter().for_each(|name| put(name));
        let mut passed = PassedOver::default();
        assert_eq!(walk(dir.path(), &mut passed).unwrap(), ["a.png", "deep/b.JPG"]);
        let kinds = [("".to_owned(), 1), ("webp".to_owned(), 2)];
        let want = PassedOver { kinds: kinds.into(), hidden: 3, ..PassedOver::default() };
        assert_eq!(passed, want);
        assert!(passed.notes()[0].starts_with("3 files of kinds that are not read: no ending 1"));
    }

    /// A folder that holds itself by a link ends.
    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).unwrap();
        std::fs::write(dir.path().join("a.png"), "").unwrap();
        let mut passed = PassedOver::default();
        assert_eq!(walk(dir.path(), &mut passed).unwrap().len(), DEPTH + 1);
        assert_eq!(passed.deep, 1);
    }
}
