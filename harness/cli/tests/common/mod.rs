//! The built binary in a folder of its own, with nothing inherited that could change what it does.

#![allow(dead_code)] // every test binary uses its own part

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder to work in, which is removed at the end.
pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn write(&self, below: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `bench` on the CPU, with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        self.settle(&mut command);
        command.args(args);
        command
    }

    /// A shell line that finds the binary as `$BENCH`.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        self.settle(&mut command);
        command.arg("-c").arg(line).env("BENCH", env!("CARGO_BIN_EXE_bench"));
        command
    }

    fn settle(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("BENCH_DATA")
            .env_remove("BENCH_LPIPS")
            .stdin(Stdio::null());
    }

    pub fn bench(&self, args: &[&str]) -> Done {
        Done::from(self.command(args).output().unwrap())
    }

    /// Everything below the folder but temporary libraries' files, by relative path.
    pub fn files(&self) -> Vec<String> {
        let mut all = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut all);
        all.sort();
        all
    }
}

/// `bench train` of `task.toml` on the CPU into the folder `out`.
pub fn training<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "task.toml", "--device", "cpu", "--out", out][..], more].concat()
}

/// What the binary left behind.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Done {
    #[track_caller]
    pub fn ok(self) -> Done {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// What was printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.out.trim()).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

fn walk(root: &Path, dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, all)
        } else {
            all.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned())
        }
    }
}

/// Relative path and content of every file below a folder, in order.
pub fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = Vec::new();
    if dir.is_dir() {
        walk(dir, dir, &mut names);
    }
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap())).collect()
}
