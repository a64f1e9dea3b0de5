use super::*;
use crate::perturbation::testing::{bad, examples, in_turn_of, network, of_client, values};
use crate::testing::streams;
use learning::Network;
use learning::transform::{Operation, Transformation};

fn net(channels: i64) -> Network {
    network("mlp", serde_json::json!({ "hidden": [8] }), vec![channels, 9, 8])
}

fn defense(policy: &str) -> Ats {
    Ats { policies: parse(policy).unwrap(), setting: Setting { policy: policy.into() } }
}

fn image(fields: &[&str]) -> Image {
    let number = |i: usize| fields[i].parse::<usize>().unwrap();
    let data = (0..fields[6].len() / 2)
        .map(|i| u8::from_str_radix(&fields[6][2 * i..2 * i + 2], 16).unwrap());
    Image { channels: number(3), height: number(4), width: number(5), data: data.collect() }
}

fn operation(name: &str) -> Operation {
    match name {
        "translate-x" => Operation::TranslateX,
        "translate-y" => Operation::TranslateY,
        "shear-y" => Operation::ShearY,
        "rotate" => Operation::Rotate,
        "colour" => Operation::Colour,
        "posterise" => Operation::Posterise,
        "solarise" => Operation::Solarise,
        "contrast" => Operation::Contrast,
        "sharpness" => Operation::Sharpness,
        "brightness" => Operation::Brightness,
        "autocontrast" => Operation::AutoContrast,
        "equalise" => Operation::Equalise,
        "invert" => Operation::Invert,
        other => panic!("{other} is not in the library"),
    }
}

/// Byte for byte what PIL makes of the same image (`tests/golden/ats_golden.py`).
#[test]
fn transformations_are_pils() {
    let golden = include_str!("../../../tests/golden/ats_golden.txt");
    let lines: Vec<Vec<&str>> = golden.lines().map(|line| line.split(' ').collect()).collect();
    let original = image(&lines[0]);
    let mut seen = Vec::new();
    for line in &lines[1..] {
        let what = Transformation { operation: operation(line[0]), step: line[1].parse().unwrap() };
        let out = what.apply(&original, line[2].parse().unwrap());
        let expected = image(line);
        let wrong = out.data.iter().zip(&expected.data).filter(|(a, b)| a != b).count();
        assert_eq!(wrong, 0, "{what:?} sign {}: {wrong} of {} values", line[2], out.data.len());
        seen.push(what);
    }
    let magnitude_less = |t: &Transformation| {
        matches!(t.operation, Operation::AutoContrast | Operation::Equalise | Operation::Invert)
    };
    assert!(
        LIBRARY.iter().all(|t| magnitude_less(t) || seen.contains(t)),
        "every entry of the library is covered"
    );
}

/// 3-1-7: a shift along x by 150/331, contrast by a third, a shift along y by a tenth; 43-18-18: a
/// shift along y, contrast twice.
#[test]
fn the_default_is_the_published_policy() {
    let ats = (ENTRY.build)(&serde_json::Map::new()).unwrap();
    assert_eq!(ats.spelled_out()["policy"], "3-1-7+43-18-18");
    let operations =
        |policy: &[usize]| policy.iter().map(|&i| LIBRARY[i].operation).collect::<Vec<_>>();
    let policies = parse("3-1-7+43-18-18").unwrap();
    assert_eq!(
        operations(&policies[0]),
        [Operation::TranslateX, Operation::Contrast, Operation::TranslateY]
    );
    assert_eq!(
        operations(&policies[1]),
        [Operation::TranslateY, Operation::Contrast, Operation::Contrast]
    );
}

#[test]
fn each_image_draws_its_policy_and_directions() {
    let net = net(3);
    let mut given = examples(&net, 1, 1);
    given.pixels = given.pixels.repeat([1, 200, 1, 1, 1]);
    given.labels = given.labels.repeat([1, 200]);
    // 29 inverts, 28 solarises at 256, which changes nothing.
    let first = (given.pixels.get(0).get(0) * 255.0).round() / 255.0;
    let out =
        in_turn_of(&net, None, &mut streams(1), |turn| defense("29+28").examples(given, turn))
            .unwrap();
    let inverted = (0..200).filter(|&i| {
        let image = out.pixels.get(0).get(i);
        let same = (&image - &first).abs().max().double_value(&[]) < 1e-6;
        assert!(same || (&image + &first - 1.0).abs().max().double_value(&[]) < 1e-6);
        !same
    });
    assert!((70..=130).contains(&inverted.count()));
}

#[test]
fn clients_side_by_side_are_clients_alone() {
    for channels in [1, 3] {
        let net = net(channels);
        let given = examples(&net, 3, 4);
        let run = |given: Examples, rngs: &mut [ChaCha12Rng]| {
            in_turn_of(&net, None, rngs, |turn| {
                defense("3-1-7+43-18-18+2-6-12").examples(given, turn)
            })
            .unwrap()
        };
        let all = run(examples(&net, 3, 4), &mut streams(3));
        for t in 0..3 {
            let alone = run(of_client(&given, t), &mut streams(3)[t as usize..=t as usize]);
            assert_eq!(values(&all.pixels.get(t)), values(&alone.pixels.get(0)));
        }
    }
}

#[test]
fn tables_and_unknown_numbers_are_refused_in_one_line() {
    let net = network("mlp", serde_json::json!({ "hidden": [8] }), vec![3]);
    let given = examples(&net, 1, 2);
    let message =
        in_turn_of(&net, None, &mut streams(1), |turn| defense("1").examples(given, turn))
            .expect_err("refused")
            .to_string();
    assert!(message.contains("channels") && !message.contains('\n'), "{message}");
    bad(&ENTRY, "policy", "3-50");
    bad(&ENTRY, "policy", "");
    bad(&ENTRY, "policy", "3-1-7+");
}
