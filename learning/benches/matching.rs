//! One gradient-matching iteration a case, on one thread; `examples/speed.rs` and `compare.py`
//! measure the same work.

mod workload;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use workload::Work;

fn matching(c: &mut Criterion) {
    tch::set_num_threads(1);
    let mut group = c.benchmark_group("matching");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1));
    for (case, lanes) in [
        ("lenet-zhu", 1),
        ("lenet-zhu", 16),
        ("convnet64", 1),
        ("resnet18", 1),
        ("resnet18", 4),
        ("simple-cnn", 1),
    ] {
        let work = Work::new(case, lanes).expect("a known case");
        group.throughput(Throughput::Elements(lanes as u64));
        group.bench_with_input(BenchmarkId::new(case, lanes), &work, |b, work| {
            b.iter(|| work.iterate(false))
        });
        let name = format!("{case}/difference");
        group.bench_with_input(BenchmarkId::new(name, lanes), &work, |b, work| {
            b.iter(|| work.differ(false))
        });
    }
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
