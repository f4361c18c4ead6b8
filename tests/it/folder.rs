//! Folders of PNG files: every pixel format, classes, and errors that name the file.

use autoencoder::{
    Error,
    data::{ImageSet, png::load_folder},
};
use png::{BitDepth, ColorType, Encoder};
use std::{fs, path::Path};

/// Colors and the gray levels that Pillow 13's `convert("L")` gives them.
const COLOURS: [([u8; 3], u8); 8] = [
    ([255, 0, 0], 76),
    ([0, 255, 0], 150),
    ([0, 0, 255], 29),
    ([255, 255, 255], 255),
    ([1, 2, 3], 2),
    ([200, 100, 50], 124),
    ([0, 0, 1], 0),
    ([13, 250, 77], 159),
];

fn encode(
    size: (u32, u32),
    color: ColorType,
    depth: BitDepth,
    palette: Option<&[u8]>,
    data: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
        encoder.set_trns(vec![0; palette.len() / 3]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

/// A gray image of this width and height.
fn gray(size: (u32, u32), data: &[u8]) -> Vec<u8> {
    encode(size, ColorType::Grayscale, BitDepth::Eight, None, data)
}

/// Loads a folder with one file.
fn single(file: &[u8]) -> Result<ImageSet, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("only.png"), file).unwrap();
    load_folder(folder.path()).map(|(images, _)| images)
}

#[test]
fn every_kind_of_pixel_becomes_its_gray_level() {
    let grays = COLOURS.map(|(_, gray)| gray);
    let rgb = COLOURS.map(|(colour, _)| colour).concat();
    // Alpha is ignored.
    let rgba: Vec<u8> = (0..).zip(COLOURS).flat_map(|(alpha, ([r, g, b], _))| [r, g, b, alpha]).collect();
    let wide = |bytes: &[u8]| bytes.iter().flat_map(|&byte| [byte; 2]).collect::<Vec<u8>>();
    let eight = BitDepth::Eight;
    for (what, file) in [
        ("gray", gray((4, 2), &grays)),
        ("RGB", encode((4, 2), ColorType::Rgb, eight, None, &rgb)),
        ("RGBA", encode((4, 2), ColorType::Rgba, eight, None, &rgba)),
        ("palette", encode((4, 2), ColorType::Indexed, eight, Some(&rgb), &[0, 1, 2, 3, 4, 5, 6, 7])),
        (
            "palette of 4 bits",
            encode((4, 2), ColorType::Indexed, BitDepth::Four, Some(&rgb), &[0x01, 0x23, 0x45, 0x67]),
        ),
        ("gray and alpha", {
            let pairs: Vec<u8> = grays.iter().flat_map(|&level| [level, 7]).collect();
            encode((4, 2), ColorType::GrayscaleAlpha, eight, None, &pairs)
        }),
        ("gray of 16 bits", encode((4, 2), ColorType::Grayscale, BitDepth::Sixteen, None, &wide(&grays))),
    ] {
        let images = single(&file).unwrap();
        assert_eq!((images.image_shape(), images.labels()), ((2, 4), None), "{what}");
        assert_eq!(images.pixels(), grays, "{what}");
    }
    // 65,535 levels become 256 by rounding: 128 of them are nearer to 0, 129 to 1.
    let levels: Vec<u8> =
        [0_u16, 128, 129, 65_406, 65_407, 65_535].iter().flat_map(|x| x.to_be_bytes()).collect();
    let images = single(&encode((6, 1), ColorType::Grayscale, BitDepth::Sixteen, None, &levels)).unwrap();
    assert_eq!(images.pixels(), [0, 0, 1, 254, 255, 255]);
    // 0.299 of 65,535 is 19,595, or 76.2 times 257; white must not overflow.
    let colours: Vec<u8> =
        [u16::MAX, 0, 0, u16::MAX, u16::MAX, u16::MAX].iter().flat_map(|x| x.to_be_bytes()).collect();
    let images = single(&encode((2, 1), ColorType::Rgb, BitDepth::Sixteen, None, &colours)).unwrap();
    assert_eq!(images.pixels(), [76, 255]);
    let bits = encode((4, 1), ColorType::Grayscale, BitDepth::One, None, &[0b0110_0000]);
    assert_eq!(single(&bits).unwrap().pixels(), [0, 255, 255, 0]);
}

fn write(folder: &Path, name: &str, file: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, file).unwrap();
}

#[test]
fn images_and_classes_follow_their_names() {
    let flat = tempfile::tempdir().unwrap();
    for (name, level) in [("b.png", 2), ("a.png", 1), ("c.PNG", 3), (".hidden", 9), ("10", 0)] {
        write(flat.path(), name, &gray((2, 1), &[level, 0]));
    }
    let (images, classes) = load_folder(flat.path()).unwrap();
    assert_eq!((images.pixels(), images.labels()), (&[0, 0, 1, 0, 2, 0, 3, 0][..], None));
    assert!(classes.is_empty());

    let nested = tempfile::tempdir().unwrap();
    for (name, level) in
        [("oak/1.png", 3), ("ash/2.png", 2), ("ash/1.png", 1), ("yew/x.png", 4), (".git/x", 0)]
    {
        write(nested.path(), name, &gray((1, 1), &[level]));
    }
    let (images, classes) = load_folder(nested.path()).unwrap();
    assert_eq!((images.pixels(), images.labels()), (&[1, 2, 3, 4][..], Some(&[0, 0, 1, 2][..])));
    assert_eq!(classes, ["ash", "oak", "yew"]);
}

#[test]
fn what_does_not_fit_is_named() {
    let good = gray((2, 3), &[9; 6]);
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    let mut huge = good.clone();
    huge[16..20].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    for (file, expected) in [
        (&gray((3, 2), &[9; 6]), "expected 3 x 2, as in the images before, found 2 x 3"),
        (&b"no image".to_vec(), "PNG"),
        (&Vec::new(), "PNG"),
        (&damaged, "PNG"),
        (&huge, "PNG"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.png", &good);
        write(folder.path(), "bad.png", file);
        let error = load_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("bad.png: ") && error.contains(expected), "{expected}: {error}");
    }
    for length in 0..good.len() {
        assert!(single(&good[..length]).is_err(), "{length} bytes");
    }
}

/// A header alone costs nothing: its size is checked before memory is allocated.
#[test]
fn a_header_is_not_trusted() {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 1 << 15, 1 << 15);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Sixteen);
    encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[]).unwrap();
    let error = single(&file).unwrap_err().to_string();
    assert!(error.contains("at most 16777216 pixels, found 32768 x 32768"), "{error}");
}

#[test]
fn folders_without_images_or_with_too_much_are_errors() {
    let image = gray((1, 1), &[0]);
    for (files, expected) in [
        (vec!["a.png", "ash/1.png"], "found both"),
        (vec!["ash/1.png", "oak/.hidden"], "oak: folder: expected PNG files, found none"),
        (vec!["ash/deep/1.png"], "deep: PNG: expected a regular file"),
        (vec![".hidden"], "expected PNG files, found none"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|name| write(folder.path(), name, &image));
        let error = load_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{files:?}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    (0..256).for_each(|class| write(folder.path(), &format!("{class:03}/x.png"), &image));
    let (images, classes) = load_folder(folder.path()).unwrap();
    assert_eq!((images.labels().unwrap()[255], classes[255].as_str()), (255, "255"));
    write(folder.path(), "256/x.png", &image);
    assert!(load_folder(folder.path()).unwrap_err().to_string().contains("at most 256 subfolders"));
    assert!(matches!(load_folder("/nowhere"), Err(Error::Io { .. })));
}
