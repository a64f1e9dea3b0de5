//! Every target, on its samples and on damaged ones. The allocator counts what the whole process
//! holds, so one test function runs alone.

use std::collections::BTreeSet;

use fuzz::{all, mutate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Damaged inputs of each target; `docs/security.md` says how to run millions.
const DAMAGED: usize = 150;
/// Bytes of a target's samples.
const CORPUS: usize = 96 << 10;

#[test]
fn no_bytes_break_a_parser() {
    let mut names = BTreeSet::new();
    for target in all() {
        assert!(names.insert(target.name), "{} is there twice", target.name);
        let sound = (target.samples)();
        let bytes: usize = sound.iter().map(Vec::len).sum();
        assert!(!sound.is_empty() && bytes < CORPUS, "{}: {bytes} bytes", target.name);
        sound.iter().for_each(|sample| target.run(sample));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..DAMAGED {
            let pick = |rng: &mut ChaCha8Rng| &sound[rng.random_range(0..sound.len())];
            let bytes = mutate::mutate(pick(&mut rng), pick(&mut rng), &mut rng);
            target.run(&bytes);
        }
    }
}
