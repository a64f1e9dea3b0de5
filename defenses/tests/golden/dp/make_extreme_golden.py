"""Epsilon at the edges of what is asked, by dp-accounting 0.6.0: pessimistic PLD, both directions.

python make_extreme_golden.py > extreme_golden.csv
"""

from dp_accounting.pld import privacy_loss_distribution as pld

# sigma, rate, steps, delta, interval of the grid
ROWS = [
    (0.5, 1e-4, 1000, 1e-5, 2e-5),
    (0.3, 1e-3, 100, 1e-6, 1e-4),
    (0.1, 1e-3, 1, 1e-5, 1e-3),
    (0.1, 0.01, 10, 1e-5, 1e-3),
    (0.05, 0.5, 1, 1e-5, 1e-3),
    (0.5, 0.5, 10, 1e-5, 1e-4),
    (0.8, 0.9, 300, 1e-5, 1e-3),
    (100.0, 0.1, 10000, 1e-5, 1e-5),
    (1000.0, 0.5, 100000, 1e-5, 1e-5),
    (1.0, 1e-3, 100000, 1e-5, 1e-5),
    (50.0, 0.9, 1000, 1e-8, 1e-5),
    (0.9, 1e-4, 1, 1e-6, 1e-5),
]

print("sigma,rate,steps,delta,interval,epsilon")
for sigma, rate, steps, delta, interval in ROWS:
    one = pld.from_gaussian_mechanism(sigma, value_discretization_interval=interval, sampling_prob=rate, use_connect_dots=True)
    print(f"{sigma},{rate},{steps},{delta},{interval},{one.self_compose(steps).get_epsilon_for_delta(delta)!r}", flush=True)
