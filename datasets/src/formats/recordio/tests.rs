use proptest::prelude::*;

use super::*;

/// Writes one record as dmlc-core does: magic numbers at multiples of four are left out and part
/// the record.
fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    let aligned = bytes.len() / 4 * 4;
    let cuts: Vec<usize> =
        (0..aligned).step_by(4).filter(|&i| bytes[i..i + 4] == MAGIC.to_le_bytes()).collect();
    let mut from = 0;
    for (i, to) in cuts.iter().copied().chain([bytes.len()]).enumerate() {
        let flag = match (i == 0, i == cuts.len()) {
            (true, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (false, true) => 3,
        };
        out.extend(MAGIC.to_le_bytes());
        out.extend((flag << 29 | (to - from) as u32).to_le_bytes());
        out.extend(&bytes[from..to]);
        out.resize(out.len().next_multiple_of(4), 0);
        from = to + 4;
    }
}

fn packed(flag: u32, labels: &[f32], id: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = flag.to_le_bytes().to_vec();
    out.extend(if flag == 0 { labels[0].to_le_bytes() } else { [0; 4] });
    out.extend(id.to_le_bytes());
    out.extend([0; 8]);
    out.extend(labels.iter().take(flag as usize).flat_map(|l| l.to_le_bytes()));
    out.extend(payload);
    out
}

fn file(records: &[Vec<u8>]) -> Records<Vec<u8>> {
    let mut out = Vec::new();
    records.iter().for_each(|r| write(&mut out, r));
    Records::new(out).unwrap()
}

#[test]
fn vectors_of_labels_and_empty_payloads_are_read() {
    let sound = file(&[packed(2, &[5.0, 7.0], 0, b""), packed(0, &[3.0], 9, b"abc")]);
    let first = sound.read(0).unwrap();
    assert_eq!((first.header.labels.as_slice(), first.payload.len()), (&[5.0, 7.0][..], 0));
    let second = sound.read(first.end).unwrap();
    assert_eq!(
        (second.header.id, second.header.labels[0], &second.payload[..]),
        (9, 3.0, &b"abc"[..])
    );
    assert_eq!(second.end, sound.size());
}

#[test]
fn a_record_of_three_parts_is_joined() {
    let mut payload = vec![7; 8];
    payload.extend(MAGIC.to_le_bytes());
    payload.extend(MAGIC.to_le_bytes());
    payload.extend([1, 2, 3]);
    let sound = file(&[packed(0, &[1.0], 4, &payload), packed(0, &[2.0], 5, b"next")]);
    let first = sound.read(0).unwrap();
    assert_eq!(first.payload, payload);
    assert_eq!(sound.glance(0).unwrap().length, payload.len() as u64);
    assert_eq!(sound.next_after(0), Some(first.end));
    assert_eq!(sound.read(first.end).unwrap().payload, b"next");
}

#[test]
fn faults_name_their_byte() {
    let mut bytes = file(&[packed(0, &[1.0], 4, &[1; 40]), packed(0, &[1.0], 5, &[2; 40])]).source;
    let second = bytes.len() / 2;
    let at = |bytes: &[u8], at: u64| Records::new(bytes.to_vec()).unwrap().read(at).unwrap_err();
    assert!(at(&bytes, 4).problem.contains("magic"));
    assert!(at(&bytes[..second + 20], second as u64).problem.contains("12 follow"));
    assert!(at(&bytes, bytes.len() as u64).problem.contains("ends"));
    bytes[second + 7] = 3 << 5;
    let later = at(&bytes, second as u64);
    assert_eq!(
        (later.place, later.problem.contains("later part")),
        (format!("byte {second}"), true)
    );
    bytes[7] = 1 << 5;
    bytes[second + 7] = 0;
    assert!(at(&bytes, 0).problem.contains("due"));
    let short = file(&[vec![0; 10]]);
    assert!(short.read(0).unwrap_err().problem.contains("10 bytes"));
    let greedy = file(&[packed(0, &[0.0], 0, b"")[..].to_vec()]);
    let mut greedy = greedy.source;
    greedy[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(at(&greedy, 0).problem.contains("announced"));
}

#[test]
fn both_kinds_of_list_are_read() {
    let mxnet = parse_list(b"4\t1.5\tb/x.jpg\n0\t2\t0\ta y.jpg\n").unwrap();
    assert_eq!(mxnet[0], ListRow { key: 4, label: 1.5, path: "b/x.jpg" });
    assert_eq!((mxnet[1].key, mxnet[1].label, mxnet[1].path), (0, 2.0, "a y.jpg"));
    let insight = parse_list(b"1\t/d/7/1.jpg\t7\n1\t/d/8/2.jpg\t8\t0\n").unwrap();
    assert_eq!((insight[1].key, insight[1].label, insight[1].path), (2, 8.0, "/d/8/2.jpg"));
    assert_eq!(parse_list(b"0\t1\tx.jpg\nnonsense\n").unwrap_err().place, "line 2");
    assert!(parse_list(b"0\tnan\tx.jpg\n").is_err());
}

#[test]
fn index_and_property_are_read() {
    assert_eq!(parse_index(b"7\t16\n0\t0\r\n").unwrap(), [(7, 16), (0, 0)]);
    assert!(parse_index(b"7\t16\n0\t0\n7\t32\n").unwrap_err().problem.contains("second time"));
    assert_eq!(parse_index(b"0\t0\n1\tx\n").unwrap_err().place, "line 2");
    assert_eq!(parse_index(b"").unwrap_err().problem, "no lines");
    let faces = Property { identities: 10572, height: 112, width: 112 };
    assert_eq!(parse_property(b"10572,112,112\n").unwrap(), faces);
    assert!(parse_property(b"10572,112,0").is_err());
}

/// Bytes among which the magic number is frequent.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => any::<u8>().prop_map(|b| vec![b]),
        1 => Just(MAGIC.to_le_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read(payloads in proptest::collection::vec(payload(), 1..6)) {
        let record = |(i, p): (usize, &Vec<u8>)| packed(i as u32 % 3, &[0.5, 1.5], i as u64, p);
        let records: Vec<Vec<u8>> = payloads.iter().enumerate().map(record).collect();
        let sound = file(&records);
        let mut at = 0;
        for (i, payload) in payloads.iter().enumerate() {
            let (record, glance) = (sound.read(at).unwrap(), sound.glance(at).unwrap());
            prop_assert_eq!(&record.payload, payload);
            prop_assert_eq!((&record.header, record.end), (&glance.header, glance.end));
            prop_assert_eq!(payload.len() as u64, glance.length);
            prop_assert!(record.payload.starts_with(&glance.start));
            prop_assert_eq!(sound.next_after(at), (i + 1 < payloads.len()).then_some(record.end));
            at = record.end;
        }
        prop_assert_eq!(at, sound.size());
    }

    #[test]
    fn never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        flag in 0u32..8,
        length in 0u32..200,
        text in "[0-9a-z,.\t\n-]{0,80}",
    ) {
        let mut hostile = MAGIC.to_le_bytes().to_vec();
        hostile.extend((flag << 29 | length).to_le_bytes());
        hostile.extend(&bytes);
        for source in [bytes.clone(), hostile] {
            let records = Records::new(source).unwrap();
            for at in [0, 4, 8, u64::MAX] {
                let _ = (records.read(at), records.glance(at), records.next_after(at));
            }
        }
        for hostile in [bytes.as_slice(), text.as_bytes()] {
            let _ = (parse_index(hostile), parse_list(hostile), parse_property(hostile));
            let _ = unpack(hostile);
        }
    }
}
