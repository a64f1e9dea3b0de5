//! One file: temporary name, resume, checksum, rename.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ureq::Agent;

use super::http::{self, Answer, HttpError, Reply};
use super::items::Remote;
use super::{FileState, Options, Outcome};
use crate::DatasetError;

/// A transfer that brings at least this much is getting somewhere: it does not count as a failed
/// try.
const PROGRESS: u64 = 1 << 20;

/// Fetches `remote` to `target`, unless it is there.
///
/// # Errors
/// See [`super::fetch`].
pub(super) fn file(
    what: &str,
    remote: &Remote,
    target: &Path,
    options: &Options,
) -> Result<Outcome, DatasetError> {
    let urls = addresses(what, remote, options)?;
    match state(remote, target)? {
        FileState::Sound => return Ok(Outcome::Kept),
        FileState::Differs(how) if !options.force => {
            return Err(fault(
                what,
                &urls[0],
                format!("{} is there already but {how}", target.display()),
                "move it away, or fetch with --force to replace it",
            ));
        }
        _ => {}
    }
    let mut part = Part::open(what, &urls[0], target)?;
    let mut last = None;
    for url in &urls {
        let transfer = Transfer { what, url, remote, options, agent: http::agent(url) };
        match transfer.run(&mut part) {
            Ok(outcome) => return part.publish(target).map(|()| outcome),
            Err(fault) => last = Some(fault),
        }
    }
    part.tidy();
    Err(last.unwrap_or_else(|| fault(what, "", "no address is known", "give one with --mirror")))
}

/// Compares a file with the published one.
///
/// # Errors
/// When it is there but cannot be read.
pub(super) fn state(remote: &Remote, path: &Path) -> Result<FileState, DatasetError> {
    if !path.exists() {
        return Ok(FileState::Absent);
    }
    let found = remote.checksum.mismatch(path).map_err(|e| DatasetError::io(path, e))?;
    Ok(found.map_or(FileState::Sound, |sum| {
        FileState::Differs(format!("its {sum} is not the published {}", remote.checksum.describe()))
    }))
}

fn addresses(what: &str, remote: &Remote, options: &Options) -> Result<Vec<String>, DatasetError> {
    let Some(mirror) = &options.mirror else {
        return Ok(remote.urls.iter().map(|url| (*url).to_string()).collect());
    };
    if !(mirror.starts_with("http://") || mirror.starts_with("https://")) {
        let problem = "the mirror is no http:// or https:// address";
        return Err(fault(
            what,
            mirror,
            problem,
            "give the address of the folder that holds the files",
        ));
    }
    Ok(vec![format!("{}/{}", mirror.trim_end_matches('/'), remote.file)])
}

fn fault(
    what: &str,
    url: &str,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> DatasetError {
    DatasetError::Fetch {
        what: what.into(),
        url: url.into(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// The temporary file, locked against other processes.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn open(what: &str, url: &str, target: &Path) -> Result<Self, DatasetError> {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(".part");
        let path = target.with_file_name(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| DatasetError::io(&path, e))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(fault(
                what,
                url,
                "another process is fetching it",
                "wait until that one is done",
            )),
            // Its owner finished between our opening and locking it: what we hold is the final
            // file.
            _ if !path.exists() => {
                Err(fault(what, url, "another process has just fetched it", "run it again"))
            }
            // Where the file system knows no locks, the checksum still guards the result.
            _ => Ok(Part { path, file }),
        }
    }

    fn len(&self) -> Result<u64, DatasetError> {
        Ok(self.file.metadata().map_err(|e| DatasetError::io(&self.path, e))?.len())
    }

    /// Drops everything from `len` on and writes there next.
    fn cut(&mut self, len: u64) -> Result<(), DatasetError> {
        let done = self.file.set_len(len).and_then(|()| self.file.seek(SeekFrom::Start(len)));
        done.map(|_| ()).map_err(|e| DatasetError::io(&self.path, e))
    }

    fn publish(self, target: &Path) -> Result<(), DatasetError> {
        self.file.sync_all().map_err(|e| DatasetError::io(&self.path, e))?;
        fs::rename(&self.path, target).map_err(|e| DatasetError::io(target, e))
    }

    /// Leaves no empty file behind.
    fn tidy(self) {
        if self.len().is_ok_and(|len| len == 0) {
            // Should this fail, an empty `.part` stays, which harms nobody.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One file from one address.
struct Transfer<'a> {
    what: &'a str,
    url: &'a str,
    remote: &'a Remote,
    options: &'a Options,
    agent: Agent,
}

/// How an attempt ended, short of success.
enum Stop {
    Http(HttpError),
    Local(DatasetError),
}

impl From<DatasetError> for Stop {
    fn from(fault: DatasetError) -> Self {
        Stop::Local(fault)
    }
}

impl Transfer<'_> {
    /// Brings `part` to the whole, checked file.
    fn run(&self, part: &mut Part) -> Result<Outcome, DatasetError> {
        let bar = self.bar();
        let result = self.checked(part, &bar);
        bar.finish_and_clear();
        result
    }

    fn checked(&self, part: &mut Part, bar: &ProgressBar) -> Result<Outcome, DatasetError> {
        let resumed = self.retry(part, bar)?;
        match self.sum(part)? {
            None => return Ok(Outcome::Downloaded { bytes: part.len()?, resumed }),
            // An old beginning may belong to another version of the file: once more from the start.
            Some(_) if resumed > 0 => part.cut(0)?,
            Some(found) => return self.reject(part, &found),
        }
        self.retry(part, bar)?;
        match self.sum(part)? {
            None => Ok(Outcome::Downloaded { bytes: part.len()?, resumed: 0 }),
            Some(found) => self.reject(part, &found),
        }
    }

    fn sum(&self, part: &Part) -> Result<Option<String>, DatasetError> {
        self.remote.checksum.mismatch(&part.path).map_err(|e| DatasetError::io(&part.path, e))
    }

    fn reject(&self, part: &mut Part, found: &str) -> Result<Outcome, DatasetError> {
        part.cut(0)?;
        let published = self.remote.checksum.describe();
        Err(self.fault(
            format!("wrong checksum: {found}, published is {published}; what came was thrown away"),
            "try again later or give another source with --mirror",
        ))
    }

    /// Attempts until the body is complete or there is no hope; returns how many bytes were there
    /// at first and stayed.
    fn retry(&self, part: &mut Part, bar: &ProgressBar) -> Result<u64, DatasetError> {
        let mut kept = part.len()?;
        let mut failures = 0;
        loop {
            let before = part.len()?;
            let error = match self.attempt(part, &mut kept, bar) {
                Ok(()) => return Ok(kept),
                Err(Stop::Local(fault)) => return Err(fault),
                Err(Stop::Http(error)) => error,
            };
            let text = match error {
                HttpError::Permanent(text) => {
                    return Err(
                        self.fault(text, "check the address, or give another with --mirror")
                    );
                }
                HttpError::Stale(text) => {
                    part.cut(0)?;
                    kept = 0;
                    text
                }
                HttpError::Temporary(text) => text,
            };
            let gained = part.len()?.saturating_sub(before);
            failures = if gained >= PROGRESS { 1 } else { failures + 1 };
            if failures > self.options.retries {
                let remedy =
                    format!("run it again: it continues after the {} bytes it has", part.len()?);
                return Err(self.fault(text, remedy));
            }
            self.wait(failures);
        }
    }

    fn wait(&self, failures: u32) {
        let seconds = self.options.pause * f64::from(1u32 << (failures - 1).min(5));
        std::thread::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 60.0)));
    }

    /// One request, and its body appended to `part`.
    fn attempt(&self, part: &mut Part, kept: &mut u64, bar: &ProgressBar) -> Result<(), Stop> {
        if self.remote.size.exact() == Some(part.len()?) {
            return Ok(());
        }
        if part.len()? > self.remote.size.most() {
            part.cut(0)?;
        }
        let offset = part.len()?;
        let answer = match http::ask(&self.agent, self.url, offset).map_err(Stop::Http)? {
            Reply::Complete => return Ok(()),
            Reply::Body(answer) => answer,
        };
        self.check_total(&answer)?;
        *kept = (*kept).min(answer.start);
        part.cut(answer.start)?;
        bar.set_length(answer.total.unwrap_or(self.remote.size.about()));
        bar.set_position(answer.start);
        let end = self.copy(answer.body, answer.start, part, bar)?;
        match answer.total.or(self.remote.size.exact()) {
            Some(total) if end < total => Err(Stop::Http(HttpError::Temporary(format!(
                "the transfer broke off at {end} of {total} bytes"
            )))),
            _ => Ok(()),
        }
    }

    fn check_total(&self, answer: &Answer) -> Result<(), Stop> {
        match (answer.total, self.remote.size.exact()) {
            (Some(total), Some(size)) if total != size => Err(Stop::Http(HttpError::Permanent(
                format!("the server offers {total} bytes, the published file has {size}"),
            ))),
            _ => Ok(()),
        }
    }

    /// Appends the body and returns the size then; refuses more than the published size.
    fn copy(
        &self,
        mut body: Box<dyn Read>,
        start: u64,
        part: &mut Part,
        bar: &ProgressBar,
    ) -> Result<u64, Stop> {
        let mut buffer = vec![0; 1 << 16];
        let mut end = start;
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => return Ok(end),
                Ok(read) => read,
                Err(error) => {
                    let text = format!("the transfer broke off at {end} bytes ({error})");
                    return Err(Stop::Http(HttpError::Temporary(text)));
                }
            };
            end += read as u64;
            if end > self.remote.size.most() {
                part.cut(0)?;
                let text = format!(
                    "the server sends more than the published {} bytes",
                    self.remote.size.about()
                );
                return Err(Stop::Http(HttpError::Permanent(text)));
            }
            part.file.write_all(&buffer[..read]).map_err(|e| {
                let problem = format!("cannot write {}: {e}", part.path.display());
                self.fault(
                    problem,
                    "make room or mend the permissions, then run it again: it continues where it \
                     stopped",
                )
            })?;
            bar.set_position(end);
        }
    }

    fn bar(&self) -> ProgressBar {
        if !self.options.progress {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        let bar = ProgressBar::new(self.remote.size.about()).with_message(self.remote.file);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn fault(&self, problem: impl Into<String>, remedy: impl Into<String>) -> DatasetError {
        fault(self.what, self.url, problem, remedy)
    }
}
