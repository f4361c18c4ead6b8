//! Names what a file is by its first bytes, for readers that expected another format.

/// The first bytes of a file that [`describe`] needs.
pub(crate) const START: usize = 512;

/// Formats that start with fixed bytes, and the remedy if there is one.
const STARTS: [(&[u8], &str); 51] = [
    (b"version https://git-lfs", "a Git LFS pointer instead of the file; run `git lfs pull`"),
    (b"/annex/objects/", "a git-annex pointer instead of the file; run `git annex get`"),
    (b"\x1f\x8b", "gzip; decompress it first"),
    (b"\x1f\x9d", "data compressed with `compress`; decompress it first"),
    (b"BZh", "data compressed with bzip2; decompress it first"),
    (b"\xfd7zXZ\0", "data compressed with xz; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "data compressed with zstd; decompress it first"),
    (b"\x04\x22\x4d\x18", "data compressed with lz4; decompress it first"),
    (b"\x78\x01", "a zlib stream; decompress it first"),
    (b"\x78\x9c", "a zlib stream; decompress it first"),
    (b"\x78\xda", "a zlib stream; decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; extract the file from it first"),
    (b"Rar!\x1a\x07", "a RAR archive; extract the file from it first"),
    (b"PAR1", "a Parquet table; export its images as PNG or NumPy files first"),
    (b"ARROW1", "an Arrow table; export its images as PNG or NumPy files first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file; export its arrays as NumPy files first"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file; export its arrays as NumPy files first"),
    (b"MATLAB 7.3 MAT-file", "a MATLAB 7.3 file (HDF5); export its arrays as NumPy files first"),
    (b"RDX2\n", "an R workspace; export its arrays as CSV or NumPy files first"),
    (b"RDX3\n", "an R workspace; export its arrays as CSV or NumPy files first"),
    (b"X\n\0\0\0", "an R file (.rds); export its arrays as CSV or NumPy files first"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image; convert it to PNG first"),
    (b"\x5d\0\0\x80", "data compressed with lzma; decompress it first"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xff\xd8\xff", "a JPEG image; convert it to PNG first"),
    (b"GIF87a", "a GIF image; convert it to PNG first"),
    (b"GIF89a", "a GIF image; convert it to PNG first"),
    (b"II\x2a\0", "a TIFF image; convert it to PNG first"),
    (b"MM\0\x2a", "a TIFF image; convert it to PNG first"),
    (b"II\x2b\0", "a BigTIFF image; convert it to PNG first"),
    (b"MM\0\x2b", "a BigTIFF image; convert it to PNG first"),
    (b"\0\0\x01\0", "an icon; convert it to PNG first"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image; convert it to PNG first"),
    (b"8BPS", "a Photoshop image; convert it to PNG first"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xd0\xcf\x11\xe0", "an OLE file, such as Thumbs.db or an old Office document"),
    (b"\0\x05\x16\x07", "an AppleDouble file with metadata of macOS; its name starts with `._`"),
    (b"GGUF", "a GGUF model; convert it to safetensors first"),
    (b"\x93NUMPY", "a NumPy .npy file; read it as one"),
    (
        b"\x89PNG\n",
        "a PNG image with changed line ends, damaged by a transfer as text; transfer it as binary",
    ),
    (
        b"\x89PNG\r\r",
        "a PNG image with changed line ends, damaged by a transfer as text; transfer it as binary",
    ),
    (
        b"\x89PNG\r\n\x1a\r",
        "a PNG image with changed line ends, damaged by a transfer as text; transfer it as binary",
    ),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20", PYTORCH),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"P5\n", "a PGM image; convert it to PNG first"),
    (b"P6\n", "a PPM image; convert it to PNG first"),
    (b"P2\n", "a PGM image; convert it to PNG first"),
    (b"P3\n", "a PPM image; convert it to PNG first"),
];

/// The name of PNG.
pub(crate) const PNG: &str = "a PNG image; put it in a folder and pass the folder";
/// The name of text that may be a table.
pub(crate) const TABLE: &str = "text, perhaps a CSV table; read it as one";
/// The name of other text.
pub(crate) const TEXT: &str = "text";
/// The name of an archive whose first file is a PNG file.
pub(crate) const ZIP_OF_PNG: &str = "a ZIP archive of PNG files; extract it first, and pass the folder";
const PYTORCH: &str =
    "PyTorch's own format (.pt, a pickle); load it in PyTorch and save it with python/exchange.py";
const REVERSED: &str = "an IDX header in reversed byte order; write its numbers as big-endian";

/// Names the format of a file that starts with `start` and adds the remedy, as in "an HTML page, perhaps ...". `start` is
/// the whole file or at least [`START`] bytes of it. Returns `None` if the format is unknown.
///
/// The caller has found that the file is not in the format that it reads.
pub(crate) fn describe(start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, bytes: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
    if start.is_empty() {
        return Some("an empty file; fetch it again");
    }
    if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
        return Some(describe_zip(start));
    }
    if at(0, b"\x89PNG\r\n\x1a\n") && at(12, b"CgBI") {
        return Some(
            "a PNG image in Apple's variant CgBI; convert it with `pngcrush -revert-iphone-optimizations`",
        );
    }
    if let Some((_, name)) = STARTS.iter().find(|(bytes, _)| start.starts_with(bytes)) {
        return Some(name);
    }
    match start {
        // "BM", the size of the file, four reserved bytes.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("a BMP image; convert it to PNG first"),
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Some("a WebP image; convert it to PNG first"),
        _ if at(4, b"ftyp") => Some("a HEIC or AVIF image, or a video; convert images to PNG first"),
        _ if at(4, b"TFL3") => Some("a TensorFlow Lite model"),
        _ if at(128, b"DICM") => Some("a DICOM image; convert it to PNG first"),
        _ if at(344, b"n+1\0") || at(344, b"ni1\0") => {
            Some("a NIfTI volume; export its slices as PNG or NumPy files first")
        }
        // The length of a record, its checksum, then the first field of an example.
        [_, _, _, _, 0, 0, 0, 0, _, _, _, _, 0x0a, ..] if start[..4] != [0; 4] => {
            Some("a TFRecord file; export its images as PNG or NumPy files first")
        }
        _ if at(257, b"ustar") => Some("a tar archive; extract the file from it first"),
        [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=8, ..] => Some("an IDX file; read it as one"),
        [1..=8, 0x08 | 0x09 | 0x0b..=0x0e, 0, 0, ..] => Some(REVERSED),
        // The version of the format, then the name of the producer or another field of a model.
        [8, 1..=30, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => {
            Some("an ONNX model; save the model with python/exchange.py instead")
        }
        // A protocol from 2 to 5; from 4 on, the length of a frame follows.
        [0x80, 2 | 3, b'(' | b'}' | b']' | b'c' | b'X' | b'K' | b'J' | b'N' | 0x8a, ..]
        | [0x80, 4 | 5, 0x95, ..] => {
            Some("a Python pickle; save the array with numpy.save, or the model with python/exchange.py")
        }
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Some("a safetensors file, as of a model"),
        _ if start.len() >= 16 && start.iter().all(|&byte| byte == 0) => {
            Some("zeros only, as in an unfinished download; fetch the file again")
        }
        _ => describe_text(start),
    }
}

/// Names the format of a file as [`describe`] does. Returns `None` also if the file cannot be read.
#[cfg(feature = "png")]
pub(crate) fn describe_file(path: &std::path::Path) -> Option<&'static str> {
    use std::io::Read;
    let mut start = vec![];
    std::fs::File::open(path).ok()?.take(START as u64).read_to_end(&mut start).ok()?;
    describe(&start)
}

/// Returns whether a file is an image of any format, as its name in [`describe`] says.
#[cfg(feature = "png")]
pub(crate) fn is_image(path: &std::path::Path) -> bool {
    describe_file(path).is_some_and(|name| name.contains(" image"))
}

/// Returns whether a file holds an array or a table that a reader of this crate loads.
#[cfg(feature = "png")]
pub(crate) fn is_array(path: &std::path::Path) -> bool {
    const KNOWN: [&str; 5] = ["an IDX file", "a NumPy .npy file", "a NumPy .npz archive", "gzip", TABLE];
    describe_file(path).is_some_and(|name| KNOWN.iter().any(|known| name.starts_with(known)))
}

/// Names what a ZIP archive holds by the name of its first entry.
fn describe_zip(start: &[u8]) -> &'static str {
    let length = start.get(26..28).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let name = start.get(30..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]);
    if name.ends_with(b".npy") {
        "a NumPy .npz archive; read it as one"
    } else if name.ends_with(b".pkl") || name.ends_with(b"/version") || name.ends_with(b"/byteorder") {
        PYTORCH
    } else if name.to_ascii_lowercase().ends_with(b".png") {
        ZIP_OF_PNG
    } else if name == b"[Content_Types].xml" {
        "an Office document"
    } else {
        "a ZIP archive; extract the file from it first"
    }
}

/// Names text by its first characters.
fn describe_text(start: &[u8]) -> Option<&'static str> {
    let start = &start[..start.len().min(START)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The excerpt may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text.to_ascii_lowercase();
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| lower.contains(tag)) {
        return Some("an HTML page, perhaps the message of a failed download; fetch the file again");
    }
    if lower.contains("<svg") {
        return Some("an SVG drawing; convert it to PNG first");
    }
    if text.starts_with('<') {
        return Some("an XML document, perhaps the message of a failed download; fetch the file again");
    }
    if text.starts_with(['{', '[']) {
        return Some("JSON text");
    }
    let line = text.lines().next().unwrap_or_default();
    if line.contains([',', ';', '\t']) {
        return Some(TABLE);
    }
    (!line.is_empty()).then_some(TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        let zip = |name: &str| {
            [b"PK\x03\x04", &[0; 22][..], &[name.len() as u8, 0, 0, 0], name.as_bytes()].concat()
        };
        let tar = [&b"images-idx3-ubyte"[..], &[0; 240], b"ustar\x0000"].concat();
        let cgbi = b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI";
        for (start, expected) in [
            (&b""[..], "an empty file"),
            (b"\n <!DOCTYPE html>\n<title>403</title>", "an HTML page"),
            (b"\xef\xbb\xbf<HTML>", "an HTML page"),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (&zip("x_train.npy"), "a NumPy .npz archive"),
            (&zip("archive/data.pkl"), "PyTorch's own format"),
            (&zip("train/images"), "a ZIP archive"),
            (b"PK\x05\x06", "a ZIP archive"),
            (&tar, "a tar archive"),
            (&zip("digits/0001.PNG"), "a ZIP archive of PNG files; extract it first"),
            (b"MATLAB 7.3 MAT-file, Platform", "a MATLAB 7.3 file"),
            (b"X\n\0\0\0\x03", "an R file (.rds)"),
            (b"\x76\x2f\x31\x01\x02", "an OpenEXR image"),
            (b"\x5d\0\0\x80\0", "data compressed with lzma"),
            (&[&[0; 128][..], b"DICM\x02"].concat(), "a DICOM image"),
            (&[&b"\x5c\x01"[..], &[0; 342], b"n+1\0"].concat(), "a NIfTI volume"),
            (b"\x40\x03\0\0\0\0\0\0\x12\x34\x56\x78\x0a\xbd", "a TFRecord file"),
            (b"BZh91AY&SY", "data compressed with bzip2"),
            (b"\xfd7zXZ\0\0", "data compressed with xz"),
            (b"\x28\xb5\x2f\xfd\x04", "data compressed with zstd"),
            (b"PAR1\x15\x04", "a Parquet table"),
            (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
            (b"GIF89a\x1c\0", "a GIF image"),
            (b"BM\x36\x0c\0\0\0\0\0\0\x36", "a BMP image"),
            (b"II\x2a\0\x08", "a TIFF image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
            (b"%PDF-1.7", "a PDF document"),
            (b"\x80\x02}q\0(X", "a Python pickle"),
            (b"\x80\x04\x95\x10\0\0\0", "a Python pickle"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch's own format"),
            (b"\x08\x07\x12\x07pytorch\x1a", "an ONNX model"),
            (b"\x10\0\0\0\0\0\0\0{\"a\":", "a safetensors file"),
            (b"label,pixel0,pixel1\n7,0,0\n", "text, perhaps a CSV table"),
            ("Grüße\n".as_bytes(), "text"),
            (b"{\"weight\": 1}", "JSON text"),
            (b"\x93NUMPY\x01\0", "a NumPy .npy file"),
            (&[3, 8, 0, 0, 40, 0, 0, 0], "an IDX header in reversed byte order"),
            (&[0, 0, 8, 3, 0, 0, 0, 40], "an IDX file"),
            (cgbi, "a PNG image in Apple's variant CgBI"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "a PNG image; put it"),
            (b"\x89PNG\n\x1a\n\0\0\0\x0dIHDR", "a PNG image with changed line ends"),
            (&[0; 512], "zeros only"),
        ] {
            let found = describe(start).unwrap_or("unknown");
            assert!(found.starts_with(expected), "{expected}: {found}");
        }
        for unknown in [
            &[0][..],
            &[0, 0],
            &[0, 0, 7, 3],
            &[0x80],
            &[0xc3],
            &[9, 9, 9],
            &[b'a', 0xff, b'b', b'c', b'd', b'e'],
        ] {
            assert_eq!(describe(unknown), None, "{unknown:?}");
        }
    }

    /// The excerpt of a long text may end within a character.
    #[test]
    fn a_cut_character_is_still_text() {
        let text = "é".repeat(400);
        assert_eq!(describe(&text.as_bytes()[..START + 1]), Some("text"));
        assert_eq!(describe(&text.as_bytes()[..START - 1]), Some("text"));
    }
}
