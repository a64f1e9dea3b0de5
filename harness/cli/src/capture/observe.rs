//! From a description and its files to what an attack sees.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use defenses::{CapturedRound, DefensePipeline, Deployment, pipeline};
use learning::client::StepRule;
use learning::effect::{Effect, Published};
use learning::models::{self, Shape};
use learning::params::ParamSpec;
use learning::{Known, Layout, Mode, Network, Observation, Params, Signal, init};
use serde_json::{Map, Value};
use suites::foreign::{self, limits};
use suites::{Init, ModelSpec, Named, rng};
use tch::{Device, Kind, Tensor};

use super::description::{Description, Holds, Knowledge};
use super::training::Training;
use super::{plausible, tensors};
use crate::named::defense;
use crate::settings::Settings;

/// Parameters that a note names.
const NAMED: usize = 4;

/// What an adversary of that knowledge sees, and the client's training as it is declared.
///
/// # Errors
/// Files that cannot be read, weights or updates of another model, NaN, unknown names,
/// descriptions that contradict themselves.
pub fn observe(
    said: &Description,
    knowledge: Knowledge,
    settings: &Settings,
) -> Result<(Observation, Training)> {
    let training = Training::described(said)?;
    let pipeline = defended(said, settings)?;
    let net = network(said, settings, &pipeline)?;
    let order = tensors::Order::new(said.by_position);
    let (weights, unread) = weights(said, &net, &order)?;
    let Some(path) = &said.update else { bail!("give the update: --update FILE") };
    let holds = said.holds();
    let (net, weights, update) = partial(net, weights, (path, holds), &order)?;
    let gradient = holds == Holds::Gradient;
    let mut update = if holds == Holds::Weights { update.sub(&weights) } else { update };
    // What running statistics moved by is not known without those before.
    unread.iter().for_each(|&i| update.tensors[i] = update.tensors[i].zeros_like());
    let doubts = plausible::doubts(&net, &weights, &update, gradient, training.examples as u32)
        .with_context(|| path.display().to_string())?;
    doubts.iter().for_each(|doubt| tell!("doubt: {}: {doubt}", path.display()));
    let mut published = effects(said, &training, &pipeline, &net)?;
    let signs = normalized(said, &training).filter(|_| knowledge == Knowledge::Exact);
    published.splice(0..0, signs);
    let known = known(said, &training, knowledge, published)?;
    let known = Known { labels: labels(said, &training, net.classes())?, ..known };
    let mode = if said.batch_norm_eval == Some(true) { Mode::Eval } else { Mode::Train };
    let signal = if gradient { Signal::Gradient(update) } else { Signal::Update(update) };
    Ok((Observation { net: Arc::new(net), weights, signal, mode, known }, training))
}

/// The model by name or file, and the shape of its examples.
///
/// # Errors
/// Parameters that are no JSON, a file that holds no network, a shape that is nowhere said.
pub fn model_of(
    model: &str,
    params: &str,
    input: Option<&str>,
    classes: Option<i64>,
) -> Result<(ModelSpec, Shape)> {
    let mut spec = spec_named(model)?;
    let params: Map<String, Value> =
        serde_json::from_str(params).with_context(|| format!("--model-params {params}"))?;
    spec.params.extend(params);
    let given = input.map(shape).transpose()?;
    let own = models::file::shape(&spec)?;
    let shape = match (given, classes, own) {
        (Some(input), Some(classes), _) => Shape { input, classes },
        (input, classes, Some(own)) => {
            Shape { input: input.unwrap_or(own.input), classes: classes.unwrap_or(own.classes) }
        }
        _ => bail!("`{model}` needs --input and --classes; a .pt2 or .onnx file says them itself"),
    };
    Ok((spec, shape))
}

/// A model by its registry name, its exported program (`.pt2`), or a `.toml` file that lists
/// `[[layers]]`.
///
/// # Errors
/// A TOML file that cannot be read or holds something else.
pub fn spec_named(model: &str) -> Result<ModelSpec> {
    if !model.ends_with(".toml") {
        return Ok(ModelSpec::named(model));
    }
    let path = Path::new(model);
    let text = foreign::read_text(path, &limits::SUITE).with_context(|| place(path))?;
    let table: Map<String, Value> = toml::from_str(&text).with_context(|| place(path))?;
    if let Some(key) = table.keys().find(|key| *key != "layers") {
        bail!("{}: unknown key `{key}`; it holds [[layers]] and nothing else", place(path));
    }
    let mut spec = ModelSpec::named("layers");
    spec.params = table;
    Ok(spec)
}

fn shape(text: &str) -> Result<Vec<i64>> {
    let parts: Option<Vec<i64>> =
        text.split('x').map(|p| p.parse().ok().filter(|&n| n > 0)).collect();
    match parts {
        Some(parts) if parts.len() == 1 || parts.len() == 3 => Ok(parts),
        _ => bail!("--input {text}: write CxHxW such as 3x64x64, or F such as 30"),
    }
}

fn spec_of(said: &Description) -> Result<(ModelSpec, Shape)> {
    let Some(model) = &said.model else { bail!("give the model: --model NAME or FILE.pt2") };
    let params = said.model_params.as_deref().unwrap_or("{}");
    let (mut spec, shape) = model_of(model, params, said.input.as_deref(), said.classes)?;
    if let Some(names) = &said.trainable {
        spec.params.insert("trainable".into(), names.clone().into());
    }
    Ok((spec, shape))
}

/// The network as the client had it: with what a defense adds to the architecture.
fn network(said: &Description, settings: &Settings, pipeline: &DefensePipeline) -> Result<Network> {
    let (spec, shape) = spec_of(said)?;
    let channels = shape.input[0] as usize;
    let spread = |v: &Option<Vec<f64>>, flag: &str| match v.as_deref().unwrap_or(&[0.5]) {
        [one] => Ok(vec![*one; channels]),
        all if all.len() == channels => Ok(all.to_vec()),
        all => bail!(
            "{flag} gives {} values for {channels} channels; give one, or one a channel",
            all.len()
        ),
    };
    if let Some(std) = said.std.iter().flatten().find(|s| !s.is_finite() || **s <= 0.0) {
        bail!("--std {std}: must be above 0 and finite");
    }
    if let Some(mean) = said.mean.iter().flatten().find(|m| !m.is_finite()) {
        bail!("--mean {mean}: must be finite");
    }
    let models = &settings.registries.federation.models;
    let model = (models.find(&spec.name)?.build)(&spec.params)?.build(&shape)?;
    let mut net = Network::new(model, spread(&said.mean, "--mean")?, spread(&said.std, "--std")?);
    for defense in &pipeline.defenses {
        net = defense.model(net)?;
    }
    Ok(net)
}

/// The weights before the update, and the places of running statistics that they do not hold.
fn weights(
    said: &Description,
    net: &Network,
    order: &tensors::Order,
) -> Result<(Params, Vec<usize>)> {
    match &said.weights {
        Some(path) => {
            let mut named = sound(net, path, order)?;
            let mut unread = Vec::new();
            if said.batch_norm_eval != Some(true) {
                let filled = unread_statistics(net.layout(), &named, path);
                unread.extend(filled.iter().filter_map(|(name, _)| net.layout().position(name)));
                named.extend(filled);
            }
            let params = Params::from_named(net.layout().clone(), named);
            Ok((params.with_context(|| place(path))?, unread))
        }
        None if models::file::gives(&spec_of(said)?.0) => {
            // The file's own values, which nothing draws.
            let mut rng = rng::stream(0, "bench attack", "file");
            Ok((init::fresh(net.layout(), Init::Pytorch, &mut rng), Vec::new()))
        }
        None => bail!("the weights before the update are needed: give --weights"),
    }
}

/// BatchNorm's running statistics that a file leaves out: in train mode no pass reads them.
fn unread_statistics(
    layout: &Layout,
    named: &[(String, Tensor)],
    path: &Path,
) -> Vec<(String, Tensor)> {
    let absent = |name: &str| named.iter().all(|(own, _)| own != name);
    let fresh = |spec: &ParamSpec| {
        let one = spec.name.ends_with(".running_var");
        let held = one || spec.name.ends_with(".running_mean");
        let value =
            Tensor::full(&spec.shape[..], f64::from(u8::from(one)), (Kind::Float, Device::Cpu));
        (held && absent(&spec.name)).then(|| (spec.name.clone(), value))
    };
    let found: Vec<(String, Tensor)> = layout.specs().iter().filter_map(fresh).collect();
    if let Some((first, _)) = found.first() {
        tell!(
            "note: {}: `{first}` and {} more running statistics are not there, nor read in train \
             mode",
            place(path),
            found.len() - 1
        );
    }
    found
}

/// The tensors of a file.
///
/// # Errors
/// NaN and infinite values, beside what reading says.
fn sound(net: &Network, path: &Path, order: &tensors::Order) -> Result<Vec<(String, Tensor)>> {
    let named = tensors::load(net, path, order)?;
    let finite = |t: &Tensor| !t.is_floating_point() || t.isfinite().all().int64_value(&[]) != 0;
    match named.iter().find(|(_, t)| !finite(t)) {
        None => Ok(named),
        Some((name, _)) => bail!(
            "{}: tensor `{name}` holds NaN or infinite values; nothing can be recovered from it",
            place(path)
        ),
    }
}

/// The update, and the network with every parameter held fixed that it leaves out.
fn partial(
    net: Network,
    weights: Params,
    (path, holds): (&Path, Holds),
    order: &tensors::Order,
) -> Result<(Network, Params, Params)> {
    let mut named = sound(&net, path, order)?;
    let layout = net.layout().clone();
    let absent = |i: &usize| !named.iter().any(|(name, _)| layout.position(name) == Some(*i));
    let missing: Vec<usize> = (0..layout.specs().len()).filter(absent).collect();
    let frozen: Vec<usize> =
        missing.iter().copied().filter(|&i| layout.specs()[i].trainable).collect();
    let trainable = layout.trainable().len();
    let unknown =
        named.iter().any(|(name, t)| layout.position(name).is_none() && t.is_floating_point());
    // With names of another model, or none of this one, the reader's own error says what is wrong.
    if !unknown && frozen.len() < trainable {
        for &i in &missing {
            let value = weights.tensors[i].get(0);
            let unchanged = if holds == Holds::Weights { value } else { value.zeros_like() };
            named.push((layout.specs()[i].name.clone(), unchanged));
        }
    }
    let update = Params::from_named(layout.clone(), named).with_context(|| place(path))?;
    if frozen.is_empty() {
        return Ok((net, weights, update));
    }
    tell!("note: {}: {}", place(path), masked(&layout, &frozen, trainable));
    let net = net.freezing(&frozen);
    let relaid = |params: Params| Params::new(net.layout().clone(), params.tensors);
    let (weights, update) = (relaid(weights)?, relaid(update)?);
    Ok((net, weights, update))
}

/// Which parameters an update leaves out.
fn masked(layout: &Layout, frozen: &[usize], trainable: usize) -> String {
    let names: Vec<&str> =
        frozen.iter().take(NAMED).map(|&i| layout.specs()[i].name.as_str()).collect();
    let rest = frozen.len() - names.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!(
        "holds {} of {trainable} trainable tensors; `{}`{more} are taken as frozen on the client",
        trainable - frozen.len(),
        names.join("`, `")
    )
}

fn place(path: &Path) -> String {
    path.display().to_string()
}

fn labels(said: &Description, training: &Training, classes: i64) -> Result<Option<Tensor>> {
    let Some(labels) = &said.labels else { return Ok(None) };
    let batch = training.examples;
    if labels.len() as i64 != batch {
        bail!("--labels gives {} labels for a batch of {batch}", labels.len());
    }
    match labels.iter().find(|&&l| l < 0 || l >= classes) {
        Some(l) => bail!("--labels {l}: classes run from 0 to {}", classes - 1),
        None => Ok(Some(Tensor::from_slice(labels).reshape([1, batch]))),
    }
}

fn known(
    said: &Description,
    training: &Training,
    knowledge: Knowledge,
    defenses: Vec<Published>,
) -> Result<Known> {
    let update = said.holds() != Holds::Gradient;
    let (local, lr) = if update { training.known(knowledge) } else { (None, said.lr) };
    Ok(Known {
        labels: None,
        batch_size: Some(training.examples),
        local,
        lr,
        local_examples: Some(training.own()),
        contributors: training.contributors,
        shares: training.shares.clone(),
        class_shares: None,
        defenses,
    })
}

/// Adam's first step, from moments of zero: of every entry its sign is left.
fn normalized(said: &Description, training: &Training) -> Option<Published> {
    let steps = training.local.steps(training.own().max(1));
    let adam = matches!(training.local.rule, StepRule::Adam { .. });
    let plain = training.local.weight_decay == 0.0 && training.contributors == 1;
    let signs = said.holds() != Holds::Gradient && adam && steps == 1 && plain;
    signs.then(|| Published { by: "adam".into(), effect: Effect::Signs { scaled: false } })
}

/// The defenses that the update is said to have gone through.
fn defended(said: &Description, settings: &Settings) -> Result<DefensePipeline> {
    let items: Vec<Named> = said.defenses.iter().map(|d| defense(d)).collect::<Result<_>>()?;
    Ok(pipeline::build(&settings.registries.federation.defenses, &items)?)
}

/// What their designers publish, of a federation of one round whose every client is in the update.
fn effects(
    said: &Description,
    training: &Training,
    pipeline: &DefensePipeline,
    net: &Network,
) -> Result<Vec<Published>> {
    let steps = training.local.steps(training.own().max(1));
    let clients = training.contributors as usize;
    let batch = training.local.batch_size.max(1);
    let deployment = Deployment {
        clients,
        rounds: 1,
        local_steps: steps,
        batch_size: batch,
        examples: training.own().max(1),
        client_rate: 1.0,
        captured: CapturedRound { batch, steps, clients, released: true },
        values: net.layout().len() as usize,
        summed: clients > 1,
    };
    let mut all = Vec::new();
    for (index, defense) in pipeline.defenses.iter().enumerate() {
        let by = said.defenses[pipeline.place(index)].split(':').next().unwrap_or_default();
        if defense.private() {
            tell!("note: the noise of `{by}` is that of a federation of one round");
        }
        let effects: Vec<Effect> = defense.effects(&deployment)?;
        all.extend(effects.into_iter().map(|effect| Published { by: by.to_owned(), effect }));
    }
    Ok(all)
}
