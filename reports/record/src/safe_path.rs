//! Paths that records and declarations name: nothing outside the run folder is opened.

use std::path::{Component, Path};

/// Whether a path can only lead into the folder that it is appended to.
pub fn safe_path(below: &Path) -> bool {
    below.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_is_safe() {
        assert!(["a.png", "./a/b.png", "a/./b"].iter().all(|p| safe_path(Path::new(p))));
        assert!(
            ["/a.png", "../a.png", "a/../../b", "a/.."].iter().all(|p| !safe_path(Path::new(p)))
        );
    }
}
