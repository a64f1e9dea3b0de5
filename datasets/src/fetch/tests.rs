//! Downloads from a local server: interruption, resume, wrong content, wrong sizes; and the
//! registry itself.

mod server;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use server::{Act, Server};
use tempfile::TempDir;

use super::*;

/// Bytes that do not repeat at any power of two.
fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 + i / 251) as u8).collect()
}

fn md5(bytes: &[u8]) -> Checksum {
    let sum: String = Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    Checksum::Md5(sum.leak())
}

fn item(size: Size, checksum: Checksum, unpack: Vec<Member>) -> Item {
    let remote = Remote { urls: &[], file: "file.bin", size, checksum, unpack: unpack.leak() };
    Item {
        name: "thing",
        title: "",
        folder: "things",
        licence: "",
        how: How::Files(vec![remote].leak()),
    }
}

struct Case {
    root: TempDir,
    server: Server,
    item: Item,
    options: Options,
}

impl Case {
    fn new(served: Vec<u8>, acts: &[Act], item: Item) -> Self {
        let server = Server::start(served, acts.to_vec());
        let mirror = Some(format!("{}/some/folder/", server.address));
        let options = Options { mirror, pause: 0.001, retries: 2, ..Options::default() };
        Case { root: tempfile::tempdir().unwrap(), server, item, options }
    }

    /// The file is served as published.
    fn honest(len: usize, acts: &[Act]) -> Self {
        let bytes = data(len);
        let item = item(Size::Exact(len as u64), md5(&bytes), vec![]);
        Case::new(bytes, acts, item)
    }

    fn fetch(&self) -> Result<Outcome, DatasetError> {
        fetch_item(&self.item, self.root.path(), &self.options)
            .map(|report| report.files[0].1.clone())
    }

    fn message(&self) -> String {
        let message = self.fetch().unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    fn target(&self) -> PathBuf {
        self.root.path().join("things/file.bin")
    }

    fn part(&self) -> PathBuf {
        self.root.path().join("things/file.bin.part")
    }

    fn starts(&self) -> Vec<Option<usize>> {
        self.server.seen().into_iter().map(|(_, start)| start).collect()
    }
}

fn downloaded(bytes: u64, resumed: u64) -> Outcome {
    Outcome::Downloaded { bytes, resumed }
}

#[test]
fn a_file_arrives_whole_and_is_not_fetched_twice() {
    let case = Case::honest(300_000, &[Act::Serve]);
    assert_eq!(case.fetch().unwrap(), downloaded(300_000, 0));
    assert_eq!(fs::read(case.target()).unwrap(), data(300_000));
    assert!(!case.part().exists());
    assert_eq!(case.server.seen(), [("/some/folder/file.bin".to_string(), None)]);
    assert_eq!(case.fetch().unwrap(), Outcome::Kept);
    assert_eq!(case.server.seen().len(), 1);
}

#[test]
fn an_interruption_is_resumed_within_one_call() {
    let case =
        Case::honest(300_000, &[Act::BreakAfter(100_000), Act::BreakAfter(50_000), Act::Serve]);
    assert_eq!(case.fetch().unwrap(), downloaded(300_000, 0));
    assert_eq!(case.starts(), [None, Some(100_000), Some(150_000)]);
    assert_eq!(fs::read(case.target()).unwrap(), data(300_000));
}

#[test]
fn an_interruption_is_resumed_by_the_next_call() {
    let mut case = Case::honest(300_000, &[Act::BreakAfter(120_000), Act::Serve]);
    case.options.retries = 0;
    let message = case.message();
    assert!(
        message.contains("broke off at 120000")
            && message.contains("continues after the 120000 bytes"),
        "{message}"
    );
    assert!(!case.target().exists() && case.part().exists());
    assert_eq!(case.fetch().unwrap(), downloaded(300_000, 120_000));
    assert_eq!(case.starts(), [None, Some(120_000)]);
}

#[test]
fn a_part_that_was_already_whole_is_only_checked() {
    let case = Case::honest(5_000, &[Act::Serve]);
    fs::create_dir_all(case.target().parent().unwrap()).unwrap();
    fs::write(case.part(), data(5_000)).unwrap();
    assert_eq!(case.fetch().unwrap(), downloaded(5_000, 5_000));
    assert!(case.starts().is_empty());
}

#[test]
fn of_a_file_of_unknown_size_a_whole_part_is_recognised_by_the_server() {
    let bytes = data(5_000);
    let case =
        Case::new(bytes.clone(), &[Act::Serve], item(Size::About(4_000), md5(&bytes), vec![]));
    fs::create_dir_all(case.target().parent().unwrap()).unwrap();
    fs::write(case.part(), &bytes).unwrap();
    assert_eq!(case.fetch().unwrap(), downloaded(5_000, 5_000));
    assert_eq!(case.starts(), [Some(5_000)]);
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let case = Case::honest(300_000, &[Act::BreakAfter(100_000), Act::Whole]);
    assert_eq!(case.fetch().unwrap(), downloaded(300_000, 0));
    assert_eq!(fs::read(case.target()).unwrap(), data(300_000));
}

#[test]
fn another_range_than_asked_for_is_not_taken() {
    let case = Case::honest(300_000, &[Act::BreakAfter(100_000), Act::OtherRange, Act::Serve]);
    assert_eq!(case.fetch().unwrap(), downloaded(300_000, 0));
    assert_eq!(case.starts(), [None, Some(100_000), None]);
}

#[test]
fn a_beginning_that_belongs_to_another_file_is_thrown_away() {
    let case = Case::honest(10_000, &[Act::Serve]);
    fs::create_dir_all(case.target().parent().unwrap()).unwrap();
    fs::write(case.part(), vec![9; 4_000]).unwrap();
    assert_eq!(case.fetch().unwrap(), downloaded(10_000, 0));
    assert_eq!(case.starts(), [Some(4_000), None]);
    fs::remove_file(case.target()).unwrap();
    fs::write(case.part(), vec![9; 20_000]).unwrap();
    assert_eq!(case.fetch().unwrap(), downloaded(10_000, 0));
}

#[test]
fn a_wrong_checksum_leaves_nothing_behind() {
    let mut wrong = data(8_000);
    wrong[4_000] ^= 1;
    let case = Case::new(wrong, &[Act::Serve], item(Size::Exact(8_000), md5(&data(8_000)), vec![]));
    let message = case.message();
    assert!(
        message.contains("wrong checksum: md5 ") && message.contains("published is md5 "),
        "{message}"
    );
    assert!(!case.target().exists() && !case.part().exists());
    assert_eq!(case.starts().len(), 1, "the same wrong file was asked for again");
}

#[test]
fn refusals_are_final_and_busy_servers_are_asked_again() {
    let case = Case::honest(10, &[Act::Status(404)]);
    assert!(case.message().contains("no such file (404)"));
    assert_eq!(case.starts().len(), 1);
    assert!(!case.target().exists() && !case.part().exists());
    let case = Case::honest(10, &[Act::Status(503), Act::Status(429), Act::Serve]);
    assert_eq!(case.fetch().unwrap(), downloaded(10, 0));
    let case = Case::honest(10, &[Act::Status(503)]);
    assert!(case.message().contains("the server answered 503; run it again"));
    assert_eq!(case.starts().len(), 3);
}

#[test]
fn a_truncated_file_is_never_taken_for_whole() {
    let bytes = data(6_000);
    let short = bytes[..4_000].to_vec();
    let exact =
        Case::new(short.clone(), &[Act::Serve], item(Size::Exact(6_000), md5(&bytes), vec![]));
    assert!(exact.message().contains("offers 4000 bytes, the published file has 6000"));
    let about = Case::new(short, &[Act::Serve], item(Size::About(6_000), md5(&bytes), vec![]));
    assert!(about.message().contains("wrong checksum"));
    let boast = Case::honest(6_000, &[Act::Boast(100)]);
    assert!(boast.message().contains("offers 6100 bytes"));
    for case in [exact, about, boast] {
        assert!(!case.target().exists());
    }
    // Promised more than there is, then found to end where it does: the checksum decides.
    let hang_up =
        Case::new(bytes.clone(), &[Act::Boast(100)], item(Size::About(6_000), md5(&bytes), vec![]));
    assert_eq!(hang_up.fetch().unwrap(), downloaded(6_000, 0));
    assert_eq!(hang_up.starts(), [None, Some(6_000)]);
}

#[test]
fn more_than_was_said_is_refused_or_left_unread() {
    let overlong = Case::honest(6_000, &[Act::Overlong]);
    assert!(overlong.message().contains("more than the published 6000 bytes"));
    assert!(!overlong.target().exists() && !overlong.part().exists());
    let chatty = Case::honest(6_000, &[Act::Chatty]);
    assert_eq!(chatty.fetch().unwrap(), downloaded(6_000, 0));
    assert_eq!(fs::read(chatty.target()).unwrap(), data(6_000));
}

#[test]
fn a_file_that_differs_is_replaced_only_by_force() {
    let mut case = Case::honest(100, &[Act::Serve]);
    fs::create_dir_all(case.target().parent().unwrap()).unwrap();
    fs::write(case.target(), "mine").unwrap();
    assert!(case.message().contains("is there already but its md5"));
    assert_eq!(fs::read(case.target()).unwrap(), b"mine");
    case.options.force = true;
    assert_eq!(case.fetch().unwrap(), downloaded(100, 0));
    assert_eq!(fs::read(case.target()).unwrap(), data(100));
}

#[test]
fn two_processes_do_not_write_the_same_file() {
    let case = Case::honest(100, &[Act::Serve]);
    fs::create_dir_all(case.target().parent().unwrap()).unwrap();
    let other = fs::File::create(case.part()).unwrap();
    other.lock().unwrap();
    assert!(case.message().contains("another process is fetching it"));
    drop(other);
    assert_eq!(case.fetch().unwrap(), downloaded(100, 0));
}

#[test]
fn no_connection_and_a_bad_mirror_are_told_at_once() {
    let mut case = Case::honest(100, &[Act::Serve]);
    case.options.mirror = Some("ftp://there".into());
    assert!(case.message().contains("no http:// or https:// address"));
    // Port 9 ("discard") of this machine: nobody listens there.
    case.options.mirror = Some("http://127.0.0.1:9".into());
    assert!(case.message().contains("thing from http://127.0.0.1:9/file.bin"));
    assert!(!case.part().exists());
}

fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(&tar.into_inner().unwrap()).unwrap();
    gz.finish().unwrap()
}

fn archive_case(files: &[(&str, &[u8])]) -> Case {
    let archive = tar_gz(files);
    let members = vec![
        Member { path: "in/a.bin", file: "a.bin", bytes: 3 },
        Member { path: "in/b.bin", file: "b.bin", bytes: 2 },
    ];
    let item = item(Size::Exact(archive.len() as u64), md5(&archive), members);
    Case::new(archive, &[Act::Serve], item)
}

#[test]
fn an_archive_is_unpacked_and_not_kept() {
    let case = archive_case(&[("in/a.bin", b"aaa"), ("in/readme", b"?"), ("in/b.bin", b"bb")]);
    assert!(matches!(case.fetch().unwrap(), Outcome::Downloaded { .. }));
    let folder = case.root.path().join("things");
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["a.bin", "b.bin"].map(String::from).into());
    assert_eq!(fs::read(folder.join("a.bin")).unwrap(), b"aaa");
    assert_eq!(case.fetch().unwrap(), Outcome::Kept);
    fs::write(folder.join("b.bin"), b"x").unwrap();
    assert!(matches!(case.fetch().unwrap(), Outcome::Downloaded { .. }));
    assert_eq!(fs::read(folder.join("b.bin")).unwrap(), b"bb");
}

#[test]
fn an_archive_without_a_member_or_with_a_wrong_one_is_refused() {
    let message = |files: &[(&str, &[u8])]| archive_case(files).message();
    assert!(message(&[("in/a.bin", b"aaa")]).contains("in/b.bin is not in it"));
    assert!(
        message(&[("in/a.bin", b"aaaa"), ("in/b.bin", b"bb")])
            .contains("in/a.bin has 4 bytes instead of 3")
    );
}

#[test]
fn what_cannot_be_fetched_says_where_to_put_what() {
    let root = Path::new("/data");
    let message = |name| fetch(name, root, &Options::default()).unwrap_err().to_string();
    assert!(
        message("celeba").contains("img_align_celeba/")
            && message("celeba").contains("into /data/celeba")
    );
    assert!(message("casia-webface").contains("into /data/casia-webface"));
    assert!(message("photos").contains("comes with the program"));
    assert!(message("cifar-10").contains("did you mean `cifar10`?"));
}

#[test]
fn the_registry_is_well_formed() {
    let mut names = BTreeSet::new();
    for item in ITEMS {
        assert!(names.insert(item.name), "{} twice", item.name);
        let How::Files(remotes) = item.how else { continue };
        for remote in remotes {
            assert!(
                remote.urls.iter().all(|u| u.starts_with("https://") && u.contains(remote.file)),
                "{}",
                remote.file
            );
            let (sum, digits) = match remote.checksum {
                // Its publisher gives no other.
                Checksum::Md5(sum) => (sum, sum.len() == 32 && item.folder == "medmnist"),
                Checksum::Sha256(sum) => (sum, sum.len() == 64),
            };
            assert!(
                digits
                    && (item.folder != "lpips" || remote.file.contains(&sum[..8]))
                    && sum.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()),
                "{sum}"
            );
        }
    }
}

#[test]
fn every_data_set_that_names_a_download_has_one() {
    for entry in crate::builtin().iter() {
        if let Some(name) = entry.fetch {
            assert!(ITEMS.iter().any(|i| i.name == name), "{} names {name}", entry.name);
        }
    }
}

#[test]
fn verify_tells_sound_absent_and_different_files_apart() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mnist");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("train-labels-idx1-ubyte.gz"), "no").unwrap();
    let states = verify("mnist", root.path()).unwrap();
    assert_eq!(states.len(), 4);
    assert!(states.iter().all(|(path, state)| match state {
        FileState::Differs(how) =>
            path.ends_with("train-labels-idx1-ubyte.gz") && how.contains("published sha256"),
        state => *state == FileState::Absent,
    }));
}
