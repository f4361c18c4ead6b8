use autoencoder::data::png::{Background, load_folder};
use std::fs;

/// A file of another format whose name ends in `.png` is named, and a damaged PNG file is not taken for one.
#[test]
fn files_of_another_format_are_named() {
    for (content, expected) in [
        (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "content: expected PNG, found a JPEG image"),
        (b"BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0", "content: expected PNG, found a BMP image"),
        (b"<html></html>", "content: expected PNG, found an HTML page"),
        (b"", "content: expected PNG, found an empty file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x06\x2b\xd5\xb3\x7f", "Apple's variant CgBI"),
        (b"\x89PNG\n\x1a\n\0\0\0\x0dIHDR", "changed line ends"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "PNG: expected a valid image"),
        (&[9; 100], "PNG: expected a valid image"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.png"), content).unwrap();
        let error = load_folder(folder.path(), Background::Black).unwrap_err().to_string();
        assert!(error.contains("x.png: ") && error.contains(expected), "{expected}: {error}");
    }
}
