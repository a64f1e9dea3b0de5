//! `bench model show`: the layers of a network, built in or from a file, and what attacks can use.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use learning::models::{self, Shape};
use learning::tape::{Tap, TapKind, Tape};
use learning::{Form, LayerGrad, Mode, Network, Params, gradients, init};
use serde_json::{Map, Value, json};
use suites::rng::stream;
use suites::{Init, ModelSpec};
use tch::{Device, Kind, Tensor};

use crate::capture;
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Layers, shapes and parameters, and what each attack can use of them
    Show(Show),
}

#[derive(ClapArgs, Debug)]
struct Show {
    /// Model name (see `bench list models`), or a network that `torch.export.save` wrote (.pt2)
    #[arg(value_name = "NAME|FILE")]
    model: String,
    /// Parameters of the architecture as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    model_params: String,
    /// Shape of one example: CxHxW, or F; a model's own file says it
    #[arg(long, value_name = "SHAPE")]
    input: Option<String>,
    /// Number of classes; a model's own file says it
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    classes: Option<i64>,
    /// Examples in a batch: it decides which gradients are kept as factors
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: i64,
}

/// Prints the network.
///
/// # Errors
/// Unknown names, files that hold no network, a shape that the model cannot take.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let What::Show(args) = &args.what;
    let (spec, shape) =
        capture::model_of(&args.model, &args.model_params, args.input.as_deref(), args.classes)?;
    let entry = settings.registries.federation.models.find(&spec.name)?;
    let model = (entry.build)(&spec.params)?.build(&shape)?;
    let channels = shape.input[0] as usize;
    let net = Network::new(model, vec![0.0; channels], vec![1.0; channels]);
    let seen = look(&net, args.batch_size)?;
    if settings.json {
        show!("{}", as_json(&net, &spec, &shape, &seen));
    } else {
        print(&net, &spec, &shape, &seen);
    }
    Ok(ExitCode::SUCCESS)
}

/// One parametrised layer.
struct Layer {
    name: String,
    kind: &'static str,
    weight: Vec<i64>,
    /// Shape of its output for one batch, `[B, ...]`.
    output: Vec<i64>,
    parameters: i64,
    /// Whether its gradient is kept as two factors.
    factored: bool,
    /// Whether the example itself is its input.
    first: bool,
}

fn look(net: &Network, batch: i64) -> Result<Vec<Layer>> {
    let mut draws = stream(0, "bench model", "show");
    let params = init::fresh(net.layout(), Init::Pytorch, &mut draws);
    let size = [vec![1, batch], net.input()].concat();
    let n: i64 = size.iter().product();
    let probe = (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.37).sin().reshape(&size[..]);
    let loss = |logits: &Tensor| logits.square().mean_dim(&[1i64, 2][..], false, None);
    let found = federation::panics::guarded(|| {
        let mut tape = Tape::per_example(&params, Mode::Eval);
        let _ = net.forward_normalised(&mut tape, &probe);
        let grads = gradients(net, &params, &probe, Mode::Eval, Form::Auto, false, loss);
        let trainable = net.layout().trainable();
        let factored = |weight: usize| {
            let at = trainable.iter().position(|&i| i == weight);
            at.is_some_and(|i| matches!(grads.layers[i], LayerGrad::Factored { .. }))
        };
        tape.taps.iter().map(|tap| layer(net, &params, tap, &probe, &factored)).collect()
    });
    match found {
        Ok(layers) => Ok(layers),
        Err(said) => bail!("the network does not run on a batch of {batch}: {said}"),
    }
}

fn layer(
    net: &Network,
    params: &Params,
    tap: &Tap,
    probe: &Tensor,
    factored: &dyn Fn(usize) -> bool,
) -> Layer {
    let spec = &net.layout().specs()[tap.weight];
    let own = |at: usize| params.tensors[at].numel() as i64;
    let parameters = own(tap.weight) + tap.bias.map_or(0, own);
    let kind = match (tap.kind, &tap.fixed, tap.conv) {
        (TapKind::Linear, ..) if tap.input.size()[1] != probe.size()[1] => "linear rows",
        (TapKind::Linear, ..) => "linear",
        (TapKind::Conv, _, Some(conv)) if conv.stride == conv.kernel && conv.kernel > 1 => {
            "patches"
        }
        (TapKind::Conv, ..) => "convolution",
        (TapKind::Scale, Some(_), _) => "batch norm",
        (TapKind::Scale, None, _) => "scale",
        (TapKind::Cosine, ..) => "cosine",
        (TapKind::Free, ..) => "free",
    };
    let flat = |t: &Tensor| t.reshape([-1]);
    let first = tap.kind != TapKind::Free
        && tap.input.numel() == probe.numel()
        && flat(&tap.input).equal(&flat(probe));
    let name = match tap.kind {
        TapKind::Free => spec.name.clone(),
        _ => spec.name.trim_end_matches(".weight").to_owned(),
    };
    let output = if kind == "free" { Vec::new() } else { tap.output.size()[1..].to_vec() };
    let (weight, factored) = (spec.shape.clone(), factored(tap.weight));
    Layer { name, kind, weight, output, parameters, factored, first }
}

/// What attacks can use, a line each.
fn uses(net: &Network, layers: &[Layer]) -> Vec<String> {
    let mut lines = Vec::new();
    let layout = net.layout();
    for (other, name) in net.model().tied() {
        lines.push(format!("`{other}` is `{name}`: one parameter, with one gradient"));
    }
    if net.model().reads_tokens() {
        lines.push(
            "it reads tokens: no attack here recovers them; rows of an embedding's gradient that \
             are not zero name those of a batch"
                .into(),
        );
        return lines;
    }
    let trains = |l: &&Layer| {
        let weight = layout.position(&format!("{}.weight", l.name));
        let biased = layout.position(&format!("{}.bias", l.name)).is_some();
        biased && weight.is_none_or(|at| layout.specs()[at].trainable)
    };
    match layers.iter().filter(trains).find(|l| l.kind == "linear") {
        Some(l) if l.first => {
            lines.push(format!(
                "`{}` is fed by the example itself: `analytic` reads one example in closed form",
                l.name
            ));
            let least = l.weight.iter().copied().min().unwrap_or(1);
            lines.push(format!(
                "the rank of its gradient is the number of examples behind it, below {least}: \
                 with a ReLU behind it such batches are in reach of exact attacks (Dimitrov et \
                 al.: SPEAR, NeurIPS 2024; none is built in)"
            ));
        }
        Some(l) => lines.push(format!(
            "`{}` is the first fully connected layer, [{}]: `feature-inversion` reads its input of \
             one example in closed form and inverts what feeds it",
            l.name,
            sides(&l.weight)
        )),
        None => lines.push("no fully connected layer: no closed form".into()),
    }
    let patches = layers.iter().find(|l| l.kind == "patches" && l.first);
    if let Some(l) = patches {
        let places: i64 = l.output[2..].iter().product();
        let free = layers.iter().any(|p| p.kind == "free" && p.weight.ends_with(&[l.weight[0]]));
        let exact = free && places <= l.weight[0];
        lines.push(if exact {
            format!(
                "`{}` cuts the image into {places} patches, as many as its {} features or fewer, \
                 and a position embedding follows: `analytic` reads one image in closed form",
                l.name, l.weight[0]
            )
        } else {
            format!("`{}` cuts the image into {places} patches", l.name)
        });
    }
    let norms: Vec<&Layer> = layers.iter().filter(|l| l.kind == "batch norm").collect();
    if let Some(first) = norms.first() {
        lines.push(format!(
            "{} BatchNorm layers from `{}` on: an update of weights carries the batch's statistics \
             (`bn_weight`, unless `withhold-bn`)",
            norms.len(),
            first.name
        ));
    }
    if net.model().examples_by_lane() {
        lines.push("`dp-sgd` runs each example in a lane of its own: slower, more memory".into());
    }
    lines.push("gradient matching (`inverting-gradients`, `strongest`, ...): any model".into());
    lines
}

fn sides(shape: &[i64]) -> String {
    let words: Vec<String> = shape.iter().map(i64::to_string).collect();
    words.join("x")
}

fn print(net: &Network, spec: &ModelSpec, shape: &Shape, layers: &[Layer]) {
    let layout = net.layout();
    show!(
        "{}: [{}] to {} classes, {} trainable values in {} tensors, {} of buffers",
        spec.title(),
        sides(&shape.input),
        shape.classes,
        layout.trainable_len(),
        layout.trainable().len(),
        layout.len() - layout.trainable_len()
    );
    let width = layers.iter().map(|l| l.name.len()).max().unwrap_or(0).max(5);
    show!(
        "{:width$}  {:11}  {:>14}  {:>14}  {:>10}  gradient",
        "layer",
        "kind",
        "weight",
        "output",
        "parameters"
    );
    for l in layers {
        show!(
            "{:width$}  {:11}  {:>14}  {:>14}  {:>10}  {}",
            l.name,
            l.kind,
            sides(&l.weight),
            sides(&l.output),
            l.parameters,
            if l.factored { "factors" } else { "dense" }
        );
    }
    uses(net, layers).iter().for_each(|line| show!("{line}"));
}

fn as_json(net: &Network, spec: &ModelSpec, shape: &Shape, layers: &[Layer]) -> Value {
    let rows: Vec<Value> = layers
        .iter()
        .map(|l| {
            json!({
                "name": l.name, "kind": l.kind, "weight": l.weight, "output": l.output,
                "parameters": l.parameters, "factored": l.factored, "sees_example": l.first,
            })
        })
        .collect();
    let mut out = Map::new();
    out.insert("model".into(), json!(spec));
    out.insert("input".into(), json!(shape.input));
    out.insert("classes".into(), json!(shape.classes));
    out.insert("trainable".into(), json!(net.layout().trainable_len()));
    out.insert("from_file".into(), json!(models::file::gives(spec)));
    out.insert("layers".into(), json!(rows));
    out.insert("uses".into(), json!(uses(net, layers)));
    Value::Object(out)
}
