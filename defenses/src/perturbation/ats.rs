//! `ats`: every image goes through a published policy of transformations before it is trained on.

use learning::Effect;
use learning::transform::{Image, LIBRARY};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::{Kind, Tensor};

use crate::{Defense, DefenseError, Deployment, Examples, Stage, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "ats",
    summary: "transform every image by one of the searched policies (`\"3-1-7+43-18-18\"`: \
        numbers in the paper's library of 50, one of the `+` parts an image)",
    reference: "Gao, Guo, Zhang, Qiu, Wen, Liu: Privacy-preserving Collaborative Learning with \
        Automatic Transformation Search, CVPR 2021; bypassed by Balunovic et al., ICLR 2022",
    build: |map| {
        let setting: Setting = suites::params("ats", map)?;
        Ok(Box::new(Ats { policies: parse(&setting.policy)?, setting }))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setting {
    /// Policies joined by `+`, each the numbers 0 to 49 of its transformations joined by `-`.
    pub policy: String,
}

impl Default for Setting {
    /// The hybrid policy that the authors search and publish for CIFAR-100 and ResNet-20.
    fn default() -> Setting {
        Setting { policy: "3-1-7+43-18-18".into() }
    }
}

/// The defense.
#[derive(Clone, Debug, Serialize)]
pub struct Ats {
    #[serde(flatten)]
    setting: Setting,
    /// Places in the library.
    #[serde(skip)]
    policies: Vec<Vec<usize>>,
}

/// Reads `"3-1-7+43-18-18"`.
fn parse(policy: &str) -> Result<Vec<Vec<usize>>, SpecError> {
    let number = |text: &str| {
        text.trim().parse::<usize>().ok().filter(|&i| i < LIBRARY.len()).ok_or_else(|| {
            SpecError::value(
                "defenses.ats.policy",
                format!("holds `{text}` in `{policy}`"),
                "write numbers 0 to 49 joined by `-`, policies joined by `+`, e.g. \
                 \"3-1-7+43-18-18\"",
            )
        })
    };
    policy.split('+').map(|part| part.split('-').map(number).collect()).collect()
}

impl Ats {
    /// One image through one of the policies, drawn with equal probability. As in the authors' code
    /// every transformation of the policy is applied; the library's probabilities are never looked
    /// at.
    fn transformed(&self, mut image: Image, rng: &mut ChaCha12Rng) -> Image {
        for &place in &self.policies[rng.random_range(0..self.policies.len())] {
            let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
            image = LIBRARY[place].apply(&image, sign);
        }
        image
    }
}

impl Defense for Ats {
    fn stage(&self) -> Stage {
        Stage::Data
    }

    fn examples(&self, examples: Examples, turn: &mut Turn) -> Result<Examples, DefenseError> {
        let size = examples.pixels.size();
        let [_, each, channels @ (1 | 3), _, _] = size[..] else {
            return Err(DefenseError::Unfit(format!(
                "`ats` transforms images of 1 or 3 channels, but the task's examples are {:?}; \
                 choose another task or defense",
                size.get(2..).unwrap_or_default()
            )));
        };
        let (height, width) = (size[3] as usize, size[4] as usize);
        // PIL works on bytes, and so does everything here: pixels are multiples of 1/255 before and
        // after.
        let bytes = (&examples.pixels * 255.0).round().clamp(0.0, 255.0).to_kind(Kind::Uint8);
        let bytes = bytes.to_device(tch::Device::Cpu).contiguous().reshape([-1]);
        let bytes = Vec::<u8>::try_from(bytes).map_err(|e| {
            DefenseError::Unfit(format!("`ats` cannot read the images as bytes ({e})"))
        })?;
        let one = channels as usize * height * width;
        let mut out = Vec::with_capacity(bytes.len());
        for (client, rng) in bytes.chunks(one * each as usize).zip(turn.rngs.iter_mut()) {
            for image in client.chunks(one) {
                let image =
                    Image { channels: channels as usize, height, width, data: image.to_vec() };
                out.extend(self.transformed(image, rng).data);
            }
        }
        let pixels = Tensor::from_slice(&out).reshape(&size).to_kind(Kind::Float) / 255.0;
        let pixels = pixels.to_device(examples.pixels.device()).to_kind(examples.pixels.kind());
        Ok(Examples { pixels, ..examples })
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::TransformedInputs { policies: self.policies.clone() }])
    }
}

#[cfg(test)]
mod tests;
