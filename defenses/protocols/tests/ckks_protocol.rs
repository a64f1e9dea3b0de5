//! The `ckks` protocol: means, what each party sees, bytes, refusals; threshold decryption.

use protocols::ckks::keys::generate_shares;
use protocols::ckks::{Ckks, ENTRY, ParameterSet, Partial};
use protocols::{Exposure, Federation, Protocol, Round, Transcript, Wire};
use serde_json::{Value, json};
use suites::rng::stream;

fn protocol(params: Value) -> Result<Box<dyn Protocol>, String> {
    (ENTRY.build)(params.as_object().unwrap()).map_err(|e| e.to_string())
}

fn updates(clients: usize, len: usize, size: f32) -> Vec<Vec<f32>> {
    let value =
        |client: usize, i: usize| ((i * 7919 + client * 104_729) % 20_011) as f32 / 10_005.5 - 1.0;
    (0..clients).map(|client| (0..len).map(|i| size * value(client, i)).collect()).collect()
}

fn carry(
    protocol: &dyn Protocol,
    updates: &[Vec<f32>],
    weights: &[u64],
    colluders: &[usize],
) -> Result<Transcript, String> {
    let round = Round {
        number: 3,
        updates,
        weights,
        binding: Default::default(),
        grid: None,
        watched: 1,
        colluders,
        dropped: &[],
        progress: &|_, _, _| (),
    };
    protocol
        .exchange(&round, &mut |purpose| stream(9, "ckks test", purpose))
        .map_err(|e| e.to_string())
}

/// Largest distance from the weighted mean in 64 bits, less the rounding to 32.
fn error(transcript: &Transcript, updates: &[Vec<f32>], weights: &[u64]) -> f64 {
    let total: u64 = weights.iter().sum();
    let exact = |i: usize| {
        let sum: f64 = updates.iter().zip(weights).map(|(u, &w)| f64::from(u[i]) * w as f64).sum();
        sum / total as f64
    };
    let off = |(i, &v): (usize, &f32)| {
        (f64::from(v) - exact(i)).abs() - f64::from(v.abs()) * 2f64.powi(-24)
    };
    transcript.mean.iter().enumerate().map(off).fold(0.0, f64::max)
}

#[test]
fn means_are_weighted_and_exact_to_a_millionth() {
    for (params, bound) in [
        (json!({}), 1e-8),
        (json!({ "key": "shared" }), 1e-8),
        (json!({ "key": "shared", "parameters": "compact", "flooding_bits": 0 }), 1e-8),
        (json!({ "key": "shared", "parameters": "tenseal", "flooding_bits": 0 }), 1e-8),
    ] {
        for (clients, len) in [(2, 1), (5, 9_001), (7, 4_096)] {
            let updates = updates(clients, len, 1.0);
            let weights: Vec<u64> = (0..clients as u64).map(|i| 1 + i * i * 17).collect();
            let transcript =
                carry(&*protocol(params.clone()).unwrap(), &updates, &weights, &[]).unwrap();
            assert_eq!(transcript.mean.len(), len);
            assert_eq!(transcript.survivors, (0..clients).collect::<Vec<_>>());
            let error = error(&transcript, &updates, &weights);
            assert!(error < bound, "{params} {clients}x{len}: {error:e}");
        }
    }
}

#[test]
fn a_hundred_clients_stay_within_the_stated_error() {
    let updates = updates(100, 4_096, 60.0);
    let transcript = carry(&*protocol(json!({})).unwrap(), &updates, &[7; 100], &[]).unwrap();
    let error = error(&transcript, &updates, &[7; 100]);
    let bound = Ckks::default().error(100);
    assert!(error < bound && error > bound / 20.0 && bound < 1e-6, "{error:e} for {bound:e}");
    let small = carry(&*protocol(json!({})).unwrap(), &updates[..2], &[7; 2], &[]).unwrap();
    assert!(
        self::error(&small, &updates[..2], &[7; 2]) < error / 10.0,
        "flooding grows with the clients"
    );
}

#[test]
fn rounds_repeat_bit_by_bit() {
    let updates = updates(3, 5_000, 1.0);
    let run = || carry(&*protocol(json!({})).unwrap(), &updates, &[1, 2, 3], &[]).unwrap();
    let (a, b) = (run(), run());
    assert_eq!((a.mean, a.upload, a.sum, a.up, a.down), (b.mean, b.upload, b.sum, b.up, b.down));
}

#[test]
fn the_server_sees_ciphertext_and_only_holders_open() {
    let updates = updates(4, 6_000, 1.0);
    for (key, opens) in [("shared", true), ("threshold", false)] {
        let ckks = protocol(json!({ "key": key })).unwrap();
        assert_eq!(
            (ckks.server_sees_update(), ckks.server_sees_sum()),
            (Exposure::Hidden, Exposure::Hidden)
        );
        assert_eq!(ckks.key_opens_update(), Some(opens));
        assert_eq!([0, 1, 3].map(|k| ckks.pooled_sees_update(k, 4)), [false, opens, opens]);
        let alone = carry(&*ckks, &updates, &[1, 2, 3, 4], &[]).unwrap();
        assert_eq!(alone.pooled, None);
        let colluding = carry(&*ckks, &updates, &[1, 2, 3, 4], &[3, 0]).unwrap();
        assert_eq!(colluding.pooled.is_some(), opens);
        if let Some(pooled) = colluding.pooled {
            assert!(pooled.iter().zip(&updates[1]).all(|(got, want)| (got - want).abs() < 1e-6));
        }
        for wire in [&alone.upload, &alone.sum] {
            let Wire::Bytes { bytes, .. } = wire else { panic!("not bytes") };
            assert_eq!(bytes.len(), 8 * 6_000);
            let naive = wire.naive(6_000);
            assert!(
                correlation(&naive, &updates[1]).abs() < 0.06
                    && correlation(&naive, &alone.mean).abs() < 0.06
            );
        }
        let phases: Vec<&str> = alone.phases.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(phases, ["keys", "encrypt", "aggregate", "decrypt"]);
    }
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let moment = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum::<f64>() / a.len() as f64
    };
    let (ma, mb) = (moment(&|a, _| a), moment(&|_, b| b));
    let covariance = moment(&|a, b| (a - ma) * (b - mb));
    covariance / (moment(&|a, _| (a - ma).powi(2)) * moment(&|_, b| (b - mb).powi(2))).sqrt()
}

/// Without the last share, what opens is noise over the whole modulus; with it, the values.
#[test]
fn one_missing_share_leaves_noise() {
    let rng = &mut stream(1, "ckks", "threshold");
    let (shares, public) = generate_shares(&ParameterSet::default(), 4, rng).unwrap();
    let values: Vec<f64> = (0..4096).map(|i| f64::from(i % 100) / 100.0).collect();
    let ciphertext = public.encrypt(&values, rng).unwrap();
    let half = ciphertext.half();
    let mut partials: Vec<Partial> =
        shares.iter().map(|share| share.partial(&half, 2f64.powi(50), rng).unwrap()).collect();
    let whole = ciphertext.combine(&partials).unwrap().values();
    assert!(whole.iter().zip(&values).all(|(got, want)| (got - want).abs() < 1e-7));

    let last = partials.pop().unwrap();
    let line = ciphertext.combine(&partials).err().unwrap().to_string();
    assert_eq!(line, "CKKS partial decryption: that of party 3 of 4 is missing");
    // A forged fourth part: one's own once more, under the absent party's number.
    let mut forged = partials[0].to_bytes();
    forged = renumber(forged, 3);
    partials.push(Partial::from_bytes(public.context(), &forged).unwrap());
    let guess = ciphertext.combine(&partials).unwrap().values();
    let (a, b): (Vec<f32>, Vec<f32>) =
        guess.iter().zip(&values).map(|(g, v)| (*g as f32, *v as f32)).unzip();
    assert!(correlation(&a, &b).abs() < 0.06);
    let spread = guess.iter().map(|v| v * v).sum::<f64>() / 4096.0;
    assert!(
        spread.sqrt() > public.context().capacity(),
        "spread over the modulus, not around the values"
    );
    partials.push(last);
    assert!(
        ciphertext.combine(&partials).err().unwrap().to_string().contains("party 3 is given twice")
    );
}

/// Changes a partial decryption's party number and mends its checksum, as an insider can.
fn renumber(mut bytes: Vec<u8>, party: u8) -> Vec<u8> {
    let end = bytes.len() - 8;
    let header = 6 + 2 + 2 + 3 + 8 + 8;
    bytes[header] = party;
    let checksum = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&checksum[..8]);
    bytes
}

#[test]
fn masks_hide_the_opened_sum_until_taken_off() {
    let rng = &mut stream(2, "ckks", "masks");
    let (shares, public) = generate_shares(&ParameterSet::default(), 2, rng).unwrap();
    let ciphertext = public.encrypt(&[0.5; 4096], rng).unwrap();
    let mut partials: Vec<Partial> = shares
        .iter()
        .map(|share| share.partial(&ciphertext.half(), 2f64.powi(50), rng).unwrap())
        .collect();
    partials[0].mask(&[5; 32], 17);
    let mut sum = ciphertext.combine(&partials).unwrap();
    let hidden = sum.values();
    assert!(hidden.iter().filter(|v| v.abs() > 10.0).count() > 3_000);
    sum.unmask(&[5; 32], 17);
    assert!(sum.values().iter().all(|v| (v - 0.5).abs() < 1e-7));
}

#[test]
fn bytes_are_those_of_the_messages() {
    let updates = updates(3, 8_192, 1.0);
    let bytes = |params: Value| {
        let transcript = carry(&*protocol(params).unwrap(), &updates, &[1; 3], &[]).unwrap();
        (transcript.up, transcript.down)
    };
    // Two ciphertexts of 4,096 values; a polynomial at 100 bits has 51,200 bytes, at 50 bits
    // 25,600.
    let (poly, short) = (51_200, 25_600);
    let (up, down) = bytes(json!({}));
    let near = |got: u64, want: u64| assert!(got > want && got < want + 600, "{got} for {want}");
    near(up[2], poly + 2 * (2 * poly + short));
    near(up[0], poly + 2 * (2 * poly + short));
    near(down[1], poly + 2 * (poly + short));
    let (up, down) = bytes(json!({ "key": "shared" }));
    let secret = 1_024;
    near(up[2], 2 * poly);
    near(up[0], 2 * poly + poly + 2 * secret);
    near(down[2], 2 * 2 * poly + secret);
}

#[test]
fn what_cannot_work_is_refused_in_one_line() {
    let said = |params: Value| protocol(params).err().unwrap();
    assert!(
        said(json!({ "parameters": "4096/60,60/40" }))
            .contains("less than 128 bits of security; use degree 8192")
    );
    assert!(said(json!({ "key": "treshold" })).contains("did you mean `threshold`"));
    assert!(said(json!({ "flooding_bits": 3 })).contains("20..48"));
    assert!(said(json!({ "range": 0 })).contains("range"));
    let check = |params: Value, clients| {
        let federation = Federation { clients, values: 10, max_weight: 1, grid_steps: None };
        protocol(params).unwrap().check(&federation).map_err(|e| e.to_string())
    };
    assert_eq!(check(json!({}), 2), Ok(()));
    assert_eq!(check(json!({}), 100), Ok(()));
    for clients in [0, 1] {
        let line = check(json!({ "key": "shared" }), clients).unwrap_err();
        assert!(
            line.starts_with("federation.clients.total") && line.ends_with("write at least 2"),
            "{line}"
        );
    }
    for scale in [120, 126, 127, 170] {
        let line =
            check(json!({ "parameters": format!("16384/60,60,60,60/{scale}") }), 5).unwrap_err();
        assert_eq!(
            line,
            format!(
                "protocol.ckks.parameters: a scale of {scale} bits and a range of 64 need more \
                 than 126 bits a \
                 coefficient; write a scale of at most 119 bits, or a smaller range"
            )
        );
    }
    assert_eq!(check(json!({ "parameters": "16384/60,60,60,60/119" }), 5), Ok(()));
    assert_eq!(
        check(json!({}), 1).unwrap_err(),
        "federation.clients.total: is 1; a ckks key needs 2 to 65535 holders; write at least 2"
    );
    let line = check(json!({ "range": 1e4 }), 2).unwrap_err();
    assert!(
        line.starts_with(
            "protocol.ckks.range: 10000 is beyond what 4096/50,50/90 encodes; write at most 36"
        ),
        "{line}"
    );
    let line = check(json!({ "parameters": "tenseal" }), 5).unwrap_err();
    assert!(line.contains("off by up to") && line.contains("fewer flooding_bits"), "{line}");
    assert!(check(json!({}), 5_000).is_err());
}

#[test]
fn values_beyond_the_range_name_their_client() {
    let mut updates = updates(3, 100, 1.0);
    updates[2][41] = -64.5;
    let line = carry(&*protocol(json!({})).unwrap(), &updates, &[1; 3], &[]).unwrap_err();
    assert!(
        line.starts_with(
            "client 2: its value -6.45e1 at position 41 is outside the range -64 to 64; clip"
        ),
        "{line}"
    );
    updates[2][41] = f32::NAN;
    let line = carry(&*protocol(json!({})).unwrap(), &updates, &[1; 3], &[]).unwrap_err();
    assert!(line.contains("client 2: its value NaN at position 41"), "{line}");
}

#[test]
fn parameters_are_spelled_out() {
    let map = protocol(json!({ "key": "shared", "parameters": "8192/60,40,40+60/40/real" }))
        .unwrap()
        .spelled_out();
    let want =
        json!({ "key": "shared", "parameters": "tenseal", "range": 64.0, "flooding_bits": 40 });
    assert_eq!(Value::Object(map), want);
    let claim = protocol(json!({})).unwrap().claim();
    assert!(
        claim.contains("128 bits") && claim.contains("Li and Micciancio") && !claim.contains('\n')
    );
}
