//! What a file is that is no checkpoint; the common accidents have words of their own.

use suites::foreign::{accident, printable};

/// Characters of a text that a message shows.
const SHOWN: usize = 60;

/// Files that begin with what no checkpoint does, and what to do about them.
const MAGIC: [(&[u8], &str); 11] = [
    (b"\x1f\x8b", "compressed by gzip; unpack it with gunzip, and give what is inside"),
    (b"BZh", "compressed by bzip2; unpack it with bunzip2, and give what is inside"),
    (b"\xfd7zXZ", "compressed by xz; unpack it with unxz, and give what is inside"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it with unzstd, and give what is inside"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it, and give what is inside"),
    (b"Rar!", "a RAR archive; unpack it, and give what is inside"),
    (b"\x89HDF", "HDF5, as Keras writes it; save its arrays with numpy.savez under their names"),
    (b"\x93NUMPY", "one array of numpy.save; save all of them with numpy.savez(path, *arrays)"),
    (b"GGUF", "GGUF, whose weights are quantised; give those of PyTorch"),
    (b"PK\x05\x06", "an empty zip archive; save the weights again"),
    (b"(dp", "a pickle of protocol 0; save it with torch.save(model.state_dict(), path)"),
];

/// Says in one line what a file that cannot be read seems to be, by its first bytes.
pub fn appearance(bytes: &[u8]) -> String {
    if let Some((what, remedy)) = accident(bytes) {
        return format!("{what}; {remedy}");
    }
    if let Some((_, words)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*words).into();
    }
    let what = if bytes.get(257..262) == Some(b"ustar") {
        "a tar archive; unpack it and give what is inside (PyTorch before 0.1.10 wrote one: load \
         and save it again with a newer PyTorch)"
    } else if is_onnx(bytes) {
        "an ONNX model; save the weights of the PyTorch model with torch.save(model.state_dict(), \
         path)"
    } else if bytes.iter().take(1 << 20).all(|&b| b == 0) {
        "nothing but zeros; the copy or the download went wrong"
    } else {
        return text(bytes).unwrap_or_else(|| {
            "neither safetensors nor a file of torch.save; save it with \
             torch.save(model.state_dict(), path)"
                .into()
        });
    };
    what.into()
}

/// A page or a message of a server in place of the file.
fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if bytes.starts_with(b"<") {
        return Some("a web page; the download went wrong".into());
    }
    let head = &bytes[..bytes.len().min(4096)];
    let known = match std::str::from_utf8(head) {
        Ok(known) => known,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if known.is_empty() || known.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let start: String = known.trim_end().chars().take(SHOWN).collect();
    let start = printable(&start);
    Some(if known.contains("\"weight_map\"") {
        "the index of a checkpoint in several files; load them all and save one file".into()
    } else if known.starts_with(['{', '[']) {
        format!("JSON (`{start}`), not weights; where it came from a server, the download failed")
    } else {
        format!("text (`{start}`), not weights; where it came from a server, the download failed")
    })
}

/// Protocol buffers of `ModelProto`: the version (field 1), then the producer (2) or another short
/// field, or the graph (7).
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=32, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_are_told_apart() {
        let mut tar = vec![1; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"<!DOCTYPE html>", "web page"),
            (b"\xef\xbb\xbf\n \r\n\t<html>", "web page"),
            (b"{\"message\":\"Not Found\"}", "JSON (`{\"message\":\"Not Found\"}`)"),
            (b"{\"metadata\": {}, \"weight_map\": {}}", "several files"),
            (b"Not Found\n", "text (`Not Found`)"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\x08\x07\x12\x07pytorch", "ONNX"),
            (b"\x93NUMPY\x01\0", "numpy.savez"),
            (&[0; 100], "zeros"),
            (&tar, "tar archive"),
            (b"\x01\x02\x03\x04", "neither safetensors"),
        ] {
            let said = appearance(bytes);
            assert!(said.contains(says) && !said.contains('\n'), "{says}: {said}");
        }
    }
}
