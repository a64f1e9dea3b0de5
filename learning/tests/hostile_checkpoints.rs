//! Small files that ask for much: each is refused in one line, and memory stays within the budget
//! of a file of its size. A counting allocator tells what is held, so one test function runs alone.

#![allow(unsafe_code)] // a counting allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use learning::checkpoint::{arrays_from_bytes, from_bytes};
use suites::foreign::limits::CHECKPOINT;

/// Counts what is held, and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let done = work();
    (done, PEAK.load(Relaxed) - before)
}

/// A legacy file of `torch.save` around a program.
fn legacy(program: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let facts = b"\x80\x02}U\x0dlittle_endian\x88s.";
    [&magic[..], facts, b"\x80\x02", program, b".\x80\x02]."].concat()
}

const STORAGE: &[u8] = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02tQ";

/// One list of many sizes, which many tensors name.
fn long_sizes() -> Vec<u8> {
    let sizes = [&b"("[..], &b"K\x01".repeat(100_000), b"tq\x000"].concat();
    let tensor = [&b"h\x01(h\x02K\x00h\x00h\x00tR0"[..]].concat();
    let head = [b"ctorch._utils\n_rebuild_tensor_v2\nq\x010", STORAGE, b"q\x020"].concat();
    legacy(&[sizes, head, tensor.repeat(1_000), b"}".to_vec()].concat())
}

/// Dicts made again and again of one list of pairs.
fn same_pairs() -> Vec<u8> {
    let pairs = [&b"K\x00K\x00\x86q\x010]q\x00("[..], &b"h\x01".repeat(50_000), b"e0"].concat();
    let import = b"ccollections\nOrderedDict\nq\x020";
    legacy(&[&pairs[..], import, &b"h\x02h\x00\x85R0".repeat(5_000), b"}"].concat())
}

/// Names that are not known, made and filled again and again.
fn opaque_objects() -> Vec<u8> {
    let class = b"cargparse\nNamespace\nq\x00";
    legacy(&[&class[..], &b")\x81Nb0h\x00".repeat(200_000), b"}"].concat())
}

/// One list of many items, given again and again to what keeps nothing.
fn same_arguments() -> Vec<u8> {
    let list = [&b"("[..], &b"K\x01".repeat(100_000), b"tq\x000"].concat();
    legacy(
        &[&list[..], b"cargparse\nNamespace\nq\x01", &b"h\x00R0h\x01".repeat(5_000), b"}"].concat(),
    )
}

/// One dict of tensors under very many keys, at two levels.
fn one_dict_under_many_keys() -> Vec<u8> {
    let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n(", STORAGE, b"K\x00)))tR"].concat();
    let key = |n: u32| [b"X\x05\0\0\0", format!("{n:05}").as_bytes()].concat();
    let many = |value: &'static [u8]| (0..20_000).flat_map(move |n| [&key(n), value].concat());
    let inner: Vec<u8> = [b"}q\x02(".to_vec(), many(b"h\x01").collect(), b"u0".to_vec()].concat();
    let middle = [b"}q\x03(".to_vec(), many(b"h\x02").collect(), b"u0".to_vec()].concat();
    let outer = [b"}(".to_vec(), many(b"h\x03").collect(), b"u".to_vec()].concat();
    let mut file = legacy(&[&tensor, b"q\x010".as_slice(), &inner, &middle, &outer].concat());
    // The storage of two values, in place of none.
    file.truncate(file.len() - b"\x80\x02].".len());
    file.extend(b"\x80\x02]U\x010a.\x02\0\0\0\0\0\0\0\0\0\x80?\0\0\0@");
    file
}

/// A deflated entry that is a thousand times what the file has.
fn deflated_bomb() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let how = zip::write::SimpleFileOptions::default();
    let how = how.compression_method(zip::CompressionMethod::Deflated);
    zip.start_file("w/data.pkl", how).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..128).for_each(|_| zip.write_all(&zeros).unwrap());
    zip.finish().unwrap().into_inner()
}

/// One array under ten thousand keys, in a pickle of NumPy's.
fn shared_array() -> Vec<u8> {
    let values = 40_000u32;
    let array = [
        &b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01J"[..],
        &values.to_le_bytes(),
        b"\x85cnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xff\
            J\xff\xff\xff\xffK\x00tb\x89B",
        &(4 * values).to_le_bytes(),
        &vec![0; 4 * values as usize],
        b"tbq\x00",
    ]
    .concat();
    let key = |n: u32| [b"X\x05\0\0\0", format!("{n:05}").as_bytes(), b"h\x00s"].concat();
    let keys: Vec<u8> = (0..10_000).flat_map(key).collect();
    [&b"\x80\x03"[..], &array, b"0}", &keys, b"."].concat()
}

/// One key of a megabyte above ten thousand dicts.
fn long_names() -> Vec<u8> {
    let name = "n".repeat(1 << 20);
    let long = [&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes(), b"q\x00"].concat();
    let inner: Vec<u8> = (0..10_000u32)
        .flat_map(|n| [b"X\x05\0\0\0", format!("{n:05}").as_bytes(), b"}s"].concat())
        .collect();
    [&b"\x80\x03}"[..], &long, b"}", &inner, b"s."].concat()
}

/// A zip of a few megabytes whose directory claims an entry a byte.
fn many_entries() -> Vec<u8> {
    let mut bytes = [b"PK\x03\x04", &vec![0; 4 << 20][..]].concat();
    let (start, count) = (bytes.len() as u64, bytes.len() as u64);
    bytes.extend(b"PK\x01\x02");
    let at = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    for word in [count, count, 4, start] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(at.to_le_bytes());
    bytes.extend(
        b"\x01\0\0\0PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
    );
    bytes
}

/// A header of safetensors that is all sizes.
fn long_header() -> Vec<u8> {
    let sizes = "1,".repeat(4 << 20);
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{sizes}1],"data_offsets":[0,4]}}}}"#);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
}

#[test]
fn small_files_cannot_ask_for_much() {
    let origin = Path::new("hostile.pt");
    let state_dicts = [
        ("long sizes", long_sizes(), "16 dimensions"),
        ("same pairs", same_pairs(), "checkpoint"),
        ("opaque objects", opaque_objects(), "checkpoint"),
        ("same arguments", same_arguments(), "checkpoint"),
        ("deflated bomb", deflated_bomb(), "bytes of memory"),
        ("nothing but tuples", legacy(&[b')'; 4 << 20]), "bytes of memory"),
        ("nothing but marks", legacy(&[b'('; 8 << 20]), "checkpoint"),
        ("many entries", many_entries(), "more than the file has room for"),
        ("long header", long_header(), "bytes of memory"),
    ];
    for (what, bytes, says) in state_dicts {
        let (read, peak) = peak_of(|| from_bytes(&bytes, origin).map(|_| ()));
        judge(what, read.map_err(|e| e.to_string()), peak, bytes.len(), says);
    }
    // Sound, and found in one look: 20,000 views of one value, under 20,000 keys of 20,000.
    let bytes = one_dict_under_many_keys();
    let (read, peak) = peak_of(|| from_bytes(&bytes, origin).map(|tensors| tensors.len()));
    assert_eq!(read.unwrap(), 20_000);
    assert!(peak <= most(bytes.len()), "{peak} bytes held for a file of {}", bytes.len());
    let arrays = [
        ("shared array", shared_array(), "bytes of memory"),
        ("long names", long_names(), "bytes of memory"),
    ];
    for (what, bytes, says) in arrays {
        let (read, peak) = peak_of(|| arrays_from_bytes(&bytes, origin).map(|_| ()));
        judge(what, read.map_err(|e| e.to_string()), peak, bytes.len(), says);
    }
}

fn judge(what: &str, read: Result<(), String>, peak: usize, stored: usize, says: &str) {
    let line = read.expect_err(what);
    assert!(line.contains(says) && !line.contains('\n'), "{what}: {line}");
    assert!(peak <= most(stored), "{what}: {peak} bytes held for a file of {stored}");
}

/// Bytes that reading a file of so many may hold.
fn most(stored: usize) -> usize {
    CHECKPOINT.most(stored as u64) as usize + (1 << 20)
}
