//! The three networks as functions of torchvision's weights, cut where LPIPS reads its features.

use super::weights::Weights;
use tch::Tensor;

/// A network: its names, limits and shape.
pub(super) struct Net {
    /// The metric's name.
    pub metric: &'static str,
    /// Prefix of its heads in the shipped file.
    pub heads: &'static str,
    /// torchvision's name, with which checkpoint files begin.
    pub stem: &'static str,
    /// torchvision's checkpoint.
    pub url: &'static str,
    /// Least height and width, in pixels, that leaves a feature at every depth.
    pub min_size: i64,
    /// Channels at each depth that is read.
    pub channels: &'static [i64],
    /// Names and shapes of the weights (biases go with them).
    pub layout: fn() -> Vec<(String, [i64; 4])>,
    /// Features of `[n, 3, H, W]` at each depth.
    pub features: fn(&Weights, &Tensor) -> Vec<Tensor>,
}

/// SqueezeNet 1.1 (Iandola et al. 2016).
pub(super) static SQUEEZE: Net = Net {
    metric: "lpips-squeeze",
    heads: "squeeze",
    stem: "squeezenet1_1",
    url: "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    min_size: 17,
    channels: &[64, 128, 256, 384, 384, 512, 512],
    layout: squeeze_layout,
    features: squeeze_features,
};

/// AlexNet in torchvision's one-tower form (Krizhevsky 2014).
pub(super) static ALEX: Net = Net {
    metric: "lpips-alex",
    heads: "alex",
    stem: "alexnet",
    url: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    min_size: 31,
    channels: &[64, 192, 384, 256, 256],
    layout: alex_layout,
    features: alex_features,
};

/// VGG-16 (Simonyan and Zisserman 2015).
pub(super) static VGG: Net = Net {
    metric: "lpips-vgg",
    heads: "vgg",
    stem: "vgg16",
    url: "https://download.pytorch.org/models/vgg16-397923af.pth",
    min_size: 16,
    channels: &[64, 128, 256, 512, 512],
    layout: vgg_layout,
    features: vgg_features,
};

fn conv(w: &Weights, name: &str, x: &Tensor, stride: i64, padding: i64) -> Tensor {
    let (weight, bias) = (&w[&format!("{name}.weight")], &w[&format!("{name}.bias")]);
    x.conv2d(weight, Some(bias), [stride, stride], [padding, padding], [1, 1], 1).relu()
}

fn pool(x: &Tensor, kernel: i64, ceil: bool) -> Tensor {
    x.max_pool2d([kernel, kernel], [2, 2], [0, 0], [1, 1], ceil)
}

/// Position, input, squeezed and expanded channels (of each of the two branches) of the fire
/// modules.
const FIRES: [(usize, i64, i64, i64); 8] = [
    (3, 64, 16, 64),
    (4, 128, 16, 64),
    (6, 128, 32, 128),
    (7, 256, 32, 128),
    (9, 256, 48, 192),
    (10, 384, 48, 192),
    (11, 384, 64, 256),
    (12, 512, 64, 256),
];

fn squeeze_layout() -> Vec<(String, [i64; 4])> {
    let mut layout = vec![("features.0".to_string(), [64, 3, 3, 3])];
    for (at, input, squeezed, expanded) in FIRES {
        layout.push((format!("features.{at}.squeeze"), [squeezed, input, 1, 1]));
        layout.push((format!("features.{at}.expand1x1"), [expanded, squeezed, 1, 1]));
        layout.push((format!("features.{at}.expand3x3"), [expanded, squeezed, 3, 3]));
    }
    layout
}

fn fire(w: &Weights, at: usize, x: &Tensor) -> Tensor {
    let branch =
        |name: &str, x: &Tensor, padding| conv(w, &format!("features.{at}.{name}"), x, 1, padding);
    let x = branch("squeeze", x, 0);
    Tensor::cat(&[branch("expand1x1", &x, 0), branch("expand3x3", &x, 1)], 1)
}

fn squeeze_features(w: &Weights, x: &Tensor) -> Vec<Tensor> {
    let mut x = conv(w, "features.0", x, 2, 0);
    let mut read = vec![x.shallow_clone()];
    for (at, ..) in FIRES {
        if matches!(at, 3 | 6 | 9) {
            x = pool(&x, 3, true);
        }
        x = fire(w, at, &x);
        if !matches!(at, 3 | 6) {
            read.push(x.shallow_clone());
        }
    }
    read
}

/// Position, shape, stride and padding of the convolutions.
const ALEX_CONVS: [(usize, [i64; 4], i64, i64); 5] = [
    (0, [64, 3, 11, 11], 4, 2),
    (3, [192, 64, 5, 5], 1, 2),
    (6, [384, 192, 3, 3], 1, 1),
    (8, [256, 384, 3, 3], 1, 1),
    (10, [256, 256, 3, 3], 1, 1),
];

fn alex_layout() -> Vec<(String, [i64; 4])> {
    ALEX_CONVS.iter().map(|(at, shape, ..)| (format!("features.{at}"), *shape)).collect()
}

fn alex_features(w: &Weights, x: &Tensor) -> Vec<Tensor> {
    let mut x = x.shallow_clone();
    let read = ALEX_CONVS.iter().map(|(at, _, stride, padding)| {
        if matches!(at, 3 | 6) {
            x = pool(&x, 3, false);
        }
        x = conv(w, &format!("features.{at}"), &x, *stride, *padding);
        x.shallow_clone()
    });
    read.collect()
}

/// The five stages: positions of their convolutions and output channels.
const VGG_STAGES: [(&[usize], i64); 5] = [
    (&[0, 2], 64),
    (&[5, 7], 128),
    (&[10, 12, 14], 256),
    (&[17, 19, 21], 512),
    (&[24, 26, 28], 512),
];

fn vgg_layout() -> Vec<(String, [i64; 4])> {
    let mut layout = Vec::new();
    let mut input = 3;
    for (positions, channels) in VGG_STAGES {
        for at in positions {
            layout.push((format!("features.{at}"), [channels, input, 3, 3]));
            input = channels;
        }
    }
    layout
}

fn vgg_features(w: &Weights, x: &Tensor) -> Vec<Tensor> {
    let mut x = x.shallow_clone();
    let read = VGG_STAGES.iter().enumerate().map(|(stage, (positions, _))| {
        if stage > 0 {
            x = pool(&x, 2, false);
        }
        for at in *positions {
            x = conv(w, &format!("features.{at}"), &x, 1, 1);
        }
        x.shallow_clone()
    });
    read.collect()
}
