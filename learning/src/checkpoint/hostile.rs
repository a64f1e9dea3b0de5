//! No bytes make the readers panic, or build more than the file could hold.

use super::tests::golden;
use super::*;
use proptest::prelude::*;

const REAL: [&str; 12] = [
    "plain_zip.pt",
    "plain_legacy.pt",
    "nested_zip.pt",
    "nested_legacy.pt",
    "protocol4_legacy.pt",
    "python2_legacy.pth",
    "expected.safetensors",
    "foreign_2.pt",
    "foreign_4.pt",
    "foreign_legacy.pt",
    "container_deflated.pt",
    "container_big.pt",
];

/// Reads; what is read must fit the file (views of one storage count once for each name), or what
/// a zip of its size may hold.
fn try_read(bytes: &[u8]) {
    let zip = bytes.starts_with(b"PK");
    let most = if zip { limits::CHECKPOINT.most(bytes.len() as u64) as usize } else { bytes.len() };
    if let Ok(tensors) = from_bytes(bytes, Path::new("hostile")) {
        for (name, tensor) in tensors {
            let size = tensor.numel() * tensor.kind().elt_size_in_bytes();
            assert!(size <= most, "{name}: {size} bytes from a file of {}", bytes.len());
        }
    }
}

fn real() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&REAL[..]).prop_map(|name| std::fs::read(golden(name)).unwrap())
}

/// The opcodes that matter, so that random programs get somewhere.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<Vec<u8>> = [
        &b"("[..],
        b")",
        b"]",
        b"}",
        b"t",
        b"a",
        b"e",
        b"s",
        b"u",
        b"0",
        b"q\x00",
        b"h\x00",
        b"N",
        b"K\x05",
        b"\x8a\x01\xff",
        b"\x85",
        b"\x86",
        b"\x87",
        b"R",
        b"b",
        b"Q",
        b"\x94",
        b"\x93",
        b"\x88",
        b"J\xff\xff\xff\x7f",
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"U\x07storage",
        b"U\x010",
        b"U\x03cpu",
        b"1",
        b"\x81",
        b"\x8f",
        b"\x90",
        b"\x91",
        b"\x92",
        b"U\x05state",
        b"U\x05model",
        b"cargparse\nNamespace\n",
        b"c__builtin__\ngetattr\n",
        b"ctorch\nByteStorage\n",
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"ccollections\ndefaultdict\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02tQ",
        b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n\
            U\x010U\x03cpuK\x02tQK\x00K\x02\x85K\x01\x85tR",
        b".",
    ]
    .iter()
    .map(|p| p.to_vec())
    .collect();
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|p| p.concat())
}

fn legacy_around(program: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read(golden("plain_legacy.pt")).unwrap();
    let mut at = 0;
    for _ in 0..3 {
        at = pickle::Machine::new(&bytes, at).run().unwrap().1;
    }
    bytes.truncate(at);
    bytes.extend_from_slice(program);
    bytes.extend_from_slice(b".\x80\x02]U\x010a.\x02\0\0\0\0\0\0\0\0\0\x80?\0\0\0@");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes(
        head in prop::sample::select(
            vec![&b"PK\x03\x04"[..], b"\x80\x02", b"\x20\0\0\0\0\0\0\0{", b""],
        ),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        try_read(&[head, &tail].concat());
    }

    #[test]
    fn random_programs(program in program()) {
        try_read(&legacy_around(&program));
    }

    #[test]
    fn mutated_files(
        mut bytes in real(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<u8>(), 0..4u8),
            1..6,
        ),
    ) {
        for (index, byte, edit) in edits {
            let at = index.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => bytes[at] ^= 1 << (byte % 8),
                _ => drop(bytes.remove(at)),
            }
        }
        try_read(&bytes);
    }
}

/// Compresses nothing away: a header that promises a petabyte is refused before it is believed.
#[test]
fn declared_sizes_are_not_believed() {
    let huge = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n\
        U\x010U\x03cpu\x8a\x07\0\0\0\0\0\0\x04tQK\x00\x8a\x07\0\0\0\0\0\0\x04\
        \x85K\x01\x85tR";
    let program = [&b"\x80\x02}U\x01w"[..], huge, b"s"].concat();
    let error = from_bytes(&legacy_around(&program), Path::new("huge.pt")).unwrap_err();
    assert!(matches!(error, CheckpointError::Malformed { .. }), "{error}");
    let header =
        br#"{"w":{"dtype":"F32","shape":[1125899906842624],"data_offsets":[0,4503599627370496]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header, b"1234"].concat();
    assert!(from_bytes(&file, Path::new("huge.safetensors")).is_err());
}

#[test]
fn deep_nesting_and_self_reference_end() {
    let deep = [&b"\x80\x02)"[..], &vec![0x85; 2_000_000], b""].concat();
    assert!(from_bytes(&legacy_around(&deep), Path::new("deep.pt")).is_err());
    // A dict that holds itself under "state_dict".
    let cycle = b"\x80\x02}q\x00U\x0astate_dicth\x00s";
    assert!(from_bytes(&legacy_around(cycle), Path::new("cycle.pt")).is_err());
    let endless = [&b"\x80\x02"[..], &vec![b'N'; 5_000_000]].concat();
    let message =
        from_bytes(&legacy_around(&endless), Path::new("long.pt")).unwrap_err().to_string();
    assert!(message.contains("bytes of memory"), "{message}");
}
