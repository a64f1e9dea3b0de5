//! An image of bytes, as PIL holds it.

/// One image, `channels` planes of `height` rows of `width` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// 1 or 3.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Plane after plane, row after row.
    pub data: Vec<u8>,
}

impl Image {
    /// Values of one plane.
    pub fn plane(&self) -> usize {
        self.height * self.width
    }

    /// The same size with other values.
    pub fn with(&self, data: Vec<u8>) -> Image {
        Image { data, ..*self }
    }

    /// Every plane on its own.
    pub fn by_plane(&self, f: impl Fn(&[u8]) -> Vec<u8>) -> Image {
        self.with(self.data.chunks(self.plane()).flat_map(f).collect())
    }

    /// Brightness of each pixel, ITU-R 601 in PIL's integers.
    pub fn grey(&self) -> Vec<u8> {
        if self.channels == 1 {
            return self.data.clone();
        }
        let (n, d) = (self.plane(), &self.data);
        let mixed = |i: usize| {
            19595 * u32::from(d[i]) + 38470 * u32::from(d[n + i]) + 7471 * u32::from(d[2 * n + i])
        };
        (0..n).map(|i| ((mixed(i) + 0x8000) >> 16) as u8).collect()
    }
}
