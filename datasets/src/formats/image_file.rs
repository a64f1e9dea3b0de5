//! PNG, JPEG, BMP and PNM files to 8-bit RGB, resized to a square.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use suites::foreign::{Budget, limits};

use super::resize::{Pixels, square};
use super::{AGAIN, FormatError, MAX_INFLATION, one_line};

/// Room for headers and for tiny images of a single colour.
const SLACK: u64 = 1 << 20;

/// Decodes an image to RGB: alpha is dropped, grey is tripled, 16 bits are scaled to 8.
///
/// # Errors
/// Not an image of a known format, damaged or truncated, without pixels, or claiming far more of
/// them than its bytes can hold.
pub fn decode(bytes: &[u8]) -> Result<Pixels, FormatError> {
    let format = image::guess_format(bytes).ok().filter(ImageFormat::reading_enabled);
    let Some(format) = format else {
        return Err(FormatError::new(
            "byte 0",
            "not a PNG, JPEG, BMP or PNM image",
            "remove the file or put the image in its place",
        ));
    };
    if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
        let end = format!("byte {}", bytes.len());
        return Err(FormatError::new(end, "the JPEG ends before its last pixels", AGAIN));
    }
    let rgb = picture(bytes, format)?.into_rgb8();
    let (width, height) = rgb.dimensions();
    Ok(Pixels { channels: 3, height: height as usize, width: width as usize, data: rgb.into_raw() })
}

/// Decodes a picture of a known format in its own colours and depth, however it ends. No pixel is
/// decoded of a picture that has more of them than a file of its size may hold.
///
/// # Errors
/// Damaged, without pixels, or claiming more of them than its bytes account for.
pub fn picture(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, FormatError> {
    let broken = |e: ImageError| {
        let another = matches!(e, ImageError::Unsupported(_));
        let remedy = if another { "save it as PNG, JPEG, BMP or PNM" } else { AGAIN };
        FormatError::new("image data", one_line(&e.to_string()), remedy)
    };
    let decoder =
        ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(broken)?;
    check_size(&decoder, bytes.len() as u64)?;
    DynamicImage::from_decoder(decoder).map_err(broken)
}

/// Decodes, scales the shorter side to `size` and keeps the centre square; see [`square`].
///
/// # Errors
/// As [`decode`].
pub fn decode_square(bytes: &[u8], size: usize) -> Result<Pixels, FormatError> {
    Ok(square(&decode(bytes)?, size))
}

/// Whether an end-of-image marker follows the last start of a scan; within a scan the marker cannot
/// occur.
pub(crate) fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|w| w == [0xff, marker]);
    last(0xd9) > last(0xda)
}

fn check_size(decoder: &impl ImageDecoder, stored: u64) -> Result<(), FormatError> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(FormatError::new("header", format!("{width} x {height} pixels"), AGAIN));
    }
    if decoder.total_bytes() > stored.saturating_mul(MAX_INFLATION).saturating_add(SLACK) {
        return Err(FormatError::new(
            "header",
            format!("{width} x {height} pixels are declared, more than {stored} bytes can hold"),
            AGAIN,
        ));
    }
    let budget = Budget::new(&limits::PICTURE, stored);
    budget.pixels(width.into(), height.into()).map_err(|e| {
        FormatError::new("header", e.to_string(), "scale it down, or save it as BMP or PNM")
    })
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Rgb, Rgba};
    use proptest::prelude::*;

    use super::*;

    fn encoded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn rgb(width: u32, height: u32) -> DynamicImage {
        ImageBuffer::from_fn(width, height, |x, y| Rgb([x as u8 * 3, y as u8 * 5, 77])).into()
    }

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm] {
            let pixels = decode(&encoded(rgb(20, 10), format)).unwrap();
            assert_eq!((pixels.height, pixels.width), (10, 20));
            assert_eq!(&pixels.data[(3 * 20 + 7) * 3..][..3], [21, 15, 77]);
        }
    }

    #[test]
    fn alpha_is_dropped_and_grey_is_tripled() {
        let alpha = ImageBuffer::from_pixel(2, 2, Rgba([9u8, 8, 7, 0])).into();
        assert_eq!(decode(&encoded(alpha, ImageFormat::Png)).unwrap().data[..3], [9, 8, 7]);
        let grey = DynamicImage::ImageLuma8(ImageBuffer::from_pixel(2, 2, image::Luma([42])));
        assert_eq!(decode(&encoded(grey, ImageFormat::Png)).unwrap().data, [42; 12]);
    }

    const FORMATS: [ImageFormat; 4] =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm];

    #[test]
    fn truncated_files_and_texts_are_refused() {
        for format in FORMATS {
            let whole = encoded(rgb(64, 64), format);
            assert!(decode(&whole).is_ok(), "{format:?}");
            assert!(decode(&whole[..whole.len() * 2 / 3]).is_err(), "{format:?} truncated");
        }
        assert!(decode(b"<html>not found</html>").unwrap_err().problem.contains("not a PNG"));
        assert!(decode(b"").is_err());
    }

    #[test]
    fn a_lying_header_is_refused_before_decoding() {
        let lie = b"P6 60000 60000 255\nabc";
        let problem = decode(lie).unwrap_err().problem;
        assert!(problem.contains("can hold"), "{problem}");
    }

    #[test]
    fn a_sound_picture_of_another_format_is_not_called_damaged() {
        let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
        let remedy = picture(gif, ImageFormat::Gif).unwrap_err().remedy;
        assert_eq!(remedy, "save it as PNG, JPEG, BMP or PNM");
    }

    #[test]
    fn a_small_file_of_many_pixels_is_refused_before_decoding() {
        let side = 6000;
        let blank = DynamicImage::ImageLuma8(ImageBuffer::new(side, side));
        let bytes = encoded(blank, ImageFormat::Png);
        let error = decode(&bytes).unwrap_err();
        assert!(error.problem.starts_with("6000x6000 pixels, more than the"), "{error:?}");
        assert!(error.remedy.contains("BMP"), "{error:?}");
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..600,
            to: u8,
            cut in 0usize..900,
        ) {
            let _ = decode(&bytes);
            for format in FORMATS {
                let mut hurt = encoded(rgb(16, 9), format);
                if let Some(byte) = hurt.get_mut(at) { *byte = to; }
                let _ = decode_square(&hurt, 8);
                hurt.truncate(cut);
                let _ = decode_square(&hurt, 8);
            }
        }
    }
}
