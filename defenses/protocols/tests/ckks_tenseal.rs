//! The same vectors averaged by TenSEAL (`golden/ckks/make.py`).

use protocols::ckks::keys::generate;
use protocols::ckks::{Ciphertext, ParameterSet};
use serde::Deserialize;
use suites::rng::stream;

#[derive(Deserialize)]
struct Golden {
    weights: Vec<i64>,
    clients: Vec<Vec<f64>>,
    mean: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/ckks/tenseal.json")).unwrap()
}

fn sum(of: impl Iterator<Item = Ciphertext>) -> Ciphertext {
    of.reduce(|mut sum, next| {
        sum.add(&next).unwrap();
        sum
    })
    .unwrap()
}

/// Weights applied by the server to ciphertexts, then a factor at the cost of a prime, as TenSEAL
/// did; and by the clients.
#[test]
fn means_agree_with_tenseal() {
    let golden = golden();
    let total: i64 = golden.weights.iter().sum();
    for set in ["tenseal", "fedavg", "compact"] {
        let rng = &mut stream(1, "ckks tenseal", set);
        let (secret, public) = generate(&set.parse::<ParameterSet>().unwrap(), rng);
        let mut by_server =
            sum(golden.clients.iter().zip(&golden.weights).map(|(values, &weight)| {
                let mut ciphertext = public.encrypt(values, rng).unwrap();
                ciphertext.weigh(weight);
                ciphertext
            }));
        match set {
            "tenseal" => by_server.multiply(1.0 / total as f64).unwrap(),
            _ => by_server.divide(total as f64),
        }
        let by_clients =
            sum(golden.clients.iter().zip(&golden.weights).map(|(values, &weight)| {
                let share: Vec<f64> =
                    values.iter().map(|v| v * weight as f64 / total as f64).collect();
                secret.encrypt(&share, rng).unwrap()
            }));
        for mean in [by_server, by_clients] {
            let opened = secret.decrypt(&mean).unwrap();
            assert_eq!(opened.len(), golden.mean.len());
            for (got, want) in opened.iter().zip(&golden.mean) {
                assert!((got - want).abs() < 1e-6, "{set}: {got} for {want}");
            }
        }
    }
}
