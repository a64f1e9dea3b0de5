//! Transformations of images as PIL makes them, and the published library of fifty of them (Gao et
//! al.: Privacy-preserving Collaborative Learning with Automatic Transformation Search, CVPR 2021),
//! in its authors' order. Who defends applies them; who attacks knows them as well.

mod colour;
pub mod geometry;
mod image;

pub use image::Image;

/// What a transformation does to an image; the magnitude is the index of one of ten equal steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Shift along the rows, black coming in.
    TranslateX,
    /// Shift along the columns, black coming in.
    TranslateY,
    /// Slant of the columns, black coming in.
    ShearY,
    /// Turn about the centre, grey coming in.
    Rotate,
    /// Saturation.
    Colour,
    /// Fewer bits a channel.
    Posterise,
    /// Bright values are inverted.
    Solarise,
    /// Contrast about the mean brightness.
    Contrast,
    /// Blur or its opposite.
    Sharpness,
    /// Brightness.
    Brightness,
    /// Each channel stretched to the full range.
    AutoContrast,
    /// Each channel's histogram made even.
    Equalise,
    /// Negative.
    Invert,
}

/// An operation at one of its ten magnitudes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transformation {
    /// What it does.
    pub operation: Operation,
    /// 0 to 9.
    pub step: u8,
}

impl Transformation {
    /// The magnitude: `step` ninths of the way over the operation's range. A shift's is a share of
    /// the side, a slant's a slope, a turn's in degrees, a blend's the distance of its factor from
    /// 1, posterising's a number of bits and solarising's a byte.
    pub fn magnitude(self) -> f64 {
        let (from, to) = match self.operation {
            Operation::TranslateX | Operation::TranslateY => (0.0, 150.0 / 331.0),
            Operation::ShearY => (0.0, 0.3),
            Operation::Rotate => (0.0, 30.0),
            Operation::Posterise => (8.0, 4.0),
            Operation::Solarise => (256.0, 0.0),
            Operation::Colour
            | Operation::Contrast
            | Operation::Sharpness
            | Operation::Brightness => (0.0, 0.5),
            Operation::AutoContrast | Operation::Equalise | Operation::Invert => (0.0, 0.0),
        };
        from + f64::from(self.step) * (to - from) / 9.0
    }

    /// Whether it has two directions, and changes something in them.
    pub fn has_sign(self) -> bool {
        let directed = matches!(
            self.operation,
            Operation::TranslateX
                | Operation::TranslateY
                | Operation::ShearY
                | Operation::Colour
                | Operation::Contrast
                | Operation::Sharpness
                | Operation::Brightness
        );
        directed && self.magnitude() != 0.0
    }

    /// Applies it; `sign` (1 or -1) is the direction of those that have two.
    pub fn apply(self, image: &Image, sign: f64) -> Image {
        let m = self.magnitude();
        match self.operation {
            Operation::TranslateX => geometry::translate(image, sign * m * image.width as f64, 0.0),
            Operation::TranslateY => {
                geometry::translate(image, 0.0, sign * m * image.height as f64)
            }
            Operation::ShearY => geometry::shear_y(image, sign * m),
            Operation::Rotate => geometry::rotate(image, m),
            Operation::Colour => colour::saturation(image, 1.0 + sign * m),
            Operation::Posterise => colour::posterise(image, m.round() as u32),
            Operation::Solarise => colour::solarise(image, m),
            Operation::Contrast => colour::contrast(image, 1.0 + sign * m),
            Operation::Sharpness => colour::sharpness(image, 1.0 + sign * m),
            Operation::Brightness => colour::brightness(image, 1.0 + sign * m),
            Operation::AutoContrast => colour::autocontrast(image),
            Operation::Equalise => colour::equalise(image),
            Operation::Invert => colour::invert(image),
        }
    }
}

const fn t(operation: Operation, step: u8) -> Transformation {
    Transformation { operation, step }
}

use Operation::{
    AutoContrast, Brightness, Colour, Contrast, Equalise, Invert, Posterise, Rotate, Sharpness,
    ShearY, Solarise, TranslateX, TranslateY,
};

/// Number `i` of a policy is `LIBRARY[i]`.
#[rustfmt::skip]
pub const LIBRARY: [Transformation; 50] = [
    t(Invert, 7), t(Contrast, 6), t(Rotate, 2), t(TranslateX, 9), t(Sharpness, 1),
    t(Sharpness, 3), t(ShearY, 2), t(TranslateY, 2), t(AutoContrast, 5), t(Equalise, 2),
    t(ShearY, 5), t(Posterise, 5), t(Colour, 3), t(Brightness, 5), t(Sharpness, 9),
    t(Brightness, 9), t(Equalise, 5), t(Equalise, 1), t(Contrast, 7), t(Sharpness, 5),
    t(Colour, 5), t(TranslateX, 5), t(Equalise, 7), t(AutoContrast, 8), t(TranslateY, 3),
    t(Sharpness, 6), t(Brightness, 6), t(Colour, 8), t(Solarise, 0), t(Invert, 0),
    t(Equalise, 0), t(AutoContrast, 0), t(Equalise, 8), t(Equalise, 4), t(Colour, 5),
    t(Equalise, 5), t(AutoContrast, 4), t(Solarise, 4), t(Brightness, 3), t(Colour, 0),
    t(Solarise, 1), t(AutoContrast, 0), t(TranslateY, 3), t(TranslateY, 3), t(AutoContrast, 1),
    t(Solarise, 1), t(Equalise, 5), t(Invert, 0), t(TranslateY, 3), t(AutoContrast, 1),
];
