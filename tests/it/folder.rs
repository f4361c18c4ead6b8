//! Folders of PNG files: every pixel format, classes, and errors that name the file.

use autoencoder::{
    Error,
    data::{
        ImageSet,
        png::{Background, Folder, load_folder},
    },
};
use png::{BitDepth, ColorType, Encoder, chunk};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Colors and the gray levels that Pillow 13's `convert("L")` gives them.
const COLORS: [([u8; 3], u8); 8] = [
    ([255, 0, 0], 76),
    ([0, 255, 0], 150),
    ([0, 0, 255], 29),
    ([255, 255, 255], 255),
    ([1, 2, 3], 2),
    ([200, 100, 50], 124),
    ([0, 0, 1], 0),
    ([13, 250, 77], 159),
];
const ALPHA: [u8; 8] = [0, 1, 77, 128, 200, 254, 255, 99];
/// The same colors with [`ALPHA`] over a background, by Pillow 13's `alpha_composite`.
const OVER_BLACK: [u8; 24] =
    [0, 0, 0, 0, 1, 0, 0, 0, 77, 128, 128, 128, 1, 2, 2, 199, 100, 50, 0, 0, 1, 5, 97, 30];
const OVER_WHITE: [u8; 24] = [
    255, 255, 255, 254, 255, 254, 178, 178, 255, 255, 255, 255, 56, 57, 57, 200, 101, 51, 0, 0, 1, 161, 253,
    186,
];
/// The red channel as gray levels with [`ALPHA`] over white.
const GRAY_OVER_WHITE: [u8; 8] = [255, 254, 178, 255, 56, 200, 0, 161];

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

fn load(folder: &Path) -> Result<Folder, Error> {
    load_folder(folder, Background::Black)
}

/// Loads a folder with one file.
fn single_over(file: &[u8], background: Background) -> Result<ImageSet, Error> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("only.png"), file).unwrap();
    load_folder(folder.path(), background).map(|found| found.images)
}

fn single(file: &[u8]) -> Result<ImageSet, Error> {
    single_over(file, Background::Black)
}

/// Samples of 16 bits with the values of 8.
fn wide(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| [byte; 2]).collect()
}

#[test]
fn every_kind_of_pixel_keeps_its_color() {
    let rgb = COLORS.map(|(color, _)| color).concat();
    let opaque: Vec<u8> = rgb.chunks_exact(3).flat_map(|color| [color, &[255]].concat()).collect();
    let eight = BitDepth::Eight;
    let four = BitDepth::Four;
    for (what, file) in [
        ("RGB", encode((4, 2), ColorType::Rgb, eight, None, &rgb)),
        ("RGBA", encode((4, 2), ColorType::Rgba, eight, None, &opaque)),
        ("RGB of 16 bits", encode((4, 2), ColorType::Rgb, BitDepth::Sixteen, None, &wide(&rgb))),
        ("palette", encode((4, 2), ColorType::Indexed, eight, Some(&rgb), &[0, 1, 2, 3, 4, 5, 6, 7])),
        (
            "palette of 4 bits",
            encode((4, 2), ColorType::Indexed, four, Some(&rgb), &[0x01, 0x23, 0x45, 0x67]),
        ),
    ] {
        let images = single(&file).unwrap();
        assert_eq!((images.image_shape(), images.channels()), ((2, 4), 3), "{what}");
        assert_eq!(images.pixels(), rgb, "{what}");
        assert_eq!(images.into_gray().pixels(), COLORS.map(|(_, gray)| gray), "{what}");
    }
}

#[test]
fn gray_is_gray_however_it_is_stored() {
    let grays = COLORS.map(|(_, gray)| gray);
    let triple: Vec<u8> = grays.iter().flat_map(|&level| [level; 3]).collect();
    let eight = BitDepth::Eight;
    for (what, file) in [
        ("gray", gray((4, 2), &grays)),
        ("RGB", encode((4, 2), ColorType::Rgb, eight, None, &triple)),
        ("palette", encode((4, 2), ColorType::Indexed, eight, Some(&triple), &[0, 1, 2, 3, 4, 5, 6, 7])),
        ("gray of 16 bits", encode((4, 2), ColorType::Grayscale, BitDepth::Sixteen, None, &wide(&grays))),
    ] {
        let images = single(&file).unwrap();
        assert_eq!((images.image_shape(), images.channels(), images.labels()), ((2, 4), 1, None), "{what}");
        assert_eq!(images.pixels(), grays, "{what}");
    }
    // 65,535 levels become 256 by rounding: 128 of them are nearer to 0, 129 to 1.
    let levels: Vec<u8> =
        [0_u16, 128, 129, 65_406, 65_407, 65_535].iter().flat_map(|x| x.to_be_bytes()).collect();
    let images = single(&encode((6, 1), ColorType::Grayscale, BitDepth::Sixteen, None, &levels)).unwrap();
    assert_eq!(images.pixels(), [0, 0, 1, 254, 255, 255]);
    assert!(images.notices()[0].contains("1 image of 16 bits"), "{:?}", images.notices());
    let bits = encode((4, 1), ColorType::Grayscale, BitDepth::One, None, &[0b0110_0000]);
    assert_eq!(single(&bits).unwrap().pixels(), [0, 255, 255, 0]);
}

#[test]
fn transparent_pixels_show_the_background() {
    let rgba: Vec<u8> =
        COLORS.iter().zip(ALPHA).flat_map(|(([r, g, b], _), alpha)| [*r, *g, *b, alpha]).collect();
    let red: Vec<u8> = rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[3]]).collect();
    let color = encode((4, 2), ColorType::Rgba, BitDepth::Eight, None, &rgba);
    let deep = encode((4, 2), ColorType::Rgba, BitDepth::Sixteen, None, &wide(&rgba));
    let gray = encode((4, 2), ColorType::GrayscaleAlpha, BitDepth::Eight, None, &red);
    for (file, background, expected) in [
        (&color, Background::Black, &OVER_BLACK[..]),
        (&color, Background::White, &OVER_WHITE),
        (&deep, Background::White, &OVER_WHITE),
        (&gray, Background::White, &GRAY_OVER_WHITE),
    ] {
        let images = single_over(file, background).unwrap();
        assert_eq!(images.pixels(), expected);
        let notice =
            images.notices().iter().find(|notice| notice.contains("1 image with transparent pixels"));
        let name = format!("{background:?}").to_lowercase();
        assert!(notice.is_some_and(|notice| notice.contains(&name)), "{:?}", images.notices());
    }
    // Only alpha carries the picture: black strokes on nothing.
    let strokes: Vec<u8> = ALPHA.iter().flat_map(|&alpha| [0, 0, 0, alpha]).collect();
    let file = encode((4, 2), ColorType::Rgba, BitDepth::Eight, None, &strokes);
    assert_eq!(single_over(&file, Background::White).unwrap().pixels(), ALPHA.map(|alpha| 255 - alpha));
}

#[test]
fn one_image_in_color_makes_the_set_one() {
    let folder = tempfile::tempdir().unwrap();
    let red = encode((2, 1), ColorType::Rgb, BitDepth::Eight, None, &[255, 0, 0, 9, 9, 9]);
    for (name, file) in
        [("a.png", &gray((2, 1), &[1, 2])), ("b.png", &red), ("c.png", &gray((2, 1), &[3, 4]))]
    {
        write(folder.path(), name, file);
    }
    let images = load(folder.path()).unwrap().images;
    assert_eq!(images.channels(), 3);
    assert_eq!(images.pixels(), [1, 1, 1, 2, 2, 2, 255, 0, 0, 9, 9, 9, 3, 3, 3, 4, 4, 4]);
    assert!(images.notices()[0].contains("2 gray images among color images"), "{:?}", images.notices());
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
    let Folder { images, classes, files, .. } = load(flat.path()).unwrap();
    assert_eq!((images.pixels(), images.labels()), (&[0, 0, 1, 0, 2, 0, 3, 0][..], None));
    assert!(classes.is_empty() && images.notices().is_empty());
    assert_eq!(files, ["10", "a.png", "b.png", "c.PNG"].map(PathBuf::from));

    let nested = tempfile::tempdir().unwrap();
    for (name, level) in
        [("oak/1.png", 3), ("ash/2.png", 2), ("ash/1.png", 1), ("yew/x.png", 4), (".git/x", 0)]
    {
        write(nested.path(), name, &gray((1, 1), &[level]));
    }
    let Folder { images, classes, files, .. } = load(nested.path()).unwrap();
    assert_eq!((images.pixels(), images.labels()), (&[1, 2, 3, 4][..], Some(&[0, 0, 1, 2][..])));
    assert_eq!(classes, ["ash", "oak", "yew"]);
    assert_eq!(files, ["ash/1.png", "ash/2.png", "oak/1.png", "yew/x.png"].map(PathBuf::from));

    let numbers = tempfile::tempdir().unwrap();
    (0..12).for_each(|class| write(numbers.path(), &format!("{class}/x.png"), &gray((1, 1), &[class])));
    let Folder { images, classes, .. } = load(numbers.path()).unwrap();
    assert_eq!((images.pixels(), classes[10].as_str()), (images.labels().unwrap(), "10"));
}

#[test]
fn what_is_no_image_is_skipped_and_counted() {
    let nested = tempfile::tempdir().unwrap();
    let image = gray((1, 1), &[5]);
    for name in ["ash/1.png", "oak/1.png"] {
        write(nested.path(), name, &image);
    }
    for name in
        ["Thumbs.db", "desktop.ini", "README.txt", "oak/Thumbs.db", "oak/notes.txt", "__MACOSX/ash/._1.png"]
    {
        write(nested.path(), name, b"no image");
    }
    write(nested.path(), ".DS_Store", b"no image");
    write(nested.path(), "@eaDir/ash/1.png@SynoEAStream", b"no image");
    write(nested.path(), "oak/Icon\r", b"");
    fs::create_dir(nested.path().join("yew")).unwrap();
    let Folder { images, classes, .. } = load(nested.path()).unwrap();
    assert_eq!((images.labels(), images.pixels()), (Some(&[0, 1][..]), &[5, 5][..]));
    assert_eq!(classes, ["ash", "oak", "yew"]);
    let notices = images.notices().join("\n");
    assert!(
        notices.contains("8 other files without an image") && notices.contains("class yew has no"),
        "{notices}"
    );
}

#[test]
fn an_animation_counts_as_its_first_frame_and_an_end_may_be_missing() {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 2, 1);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[1, 2]).unwrap();
    writer.write_image_data(&[3, 4]).unwrap();
    writer.finish().unwrap();
    let images = single(&file).unwrap();
    assert_eq!(images.pixels(), [1, 2]);
    assert!(images.notices()[0].contains("1 animation: only"), "{:?}", images.notices());

    let whole = gray((2, 1), &[7, 8]);
    for missing in 1..=12 {
        let images = single(&whole[..whole.len() - missing]).unwrap();
        assert_eq!(images.pixels(), [7, 8]);
        assert!(images.notices()[0].contains("1 file cut short, such as"), "{:?}", images.notices());
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let good = gray((2, 3), &[9; 6]);
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    // The header's checksum.
    let mut checksum = good.clone();
    checksum[29] ^= 1;
    let mut huge = good.clone();
    huge[16..20].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    for (file, expected) in [
        (
            &gray((3, 2), &[9; 6]),
            "expected 3 x 2, as in the images before, found 2 x 3; resize the images first",
        ),
        (&b"no image".to_vec(), "PNG"),
        (&Vec::new(), "PNG"),
        (&damaged, "PNG"),
        (&checksum, "a wrong checksum: the file is damaged; fetch or save it again"),
        (&huge, "PNG"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.png", &good);
        write(folder.path(), "bad.png", file);
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("bad.png: ") && error.contains(expected), "{expected}: {error}");
    }
    // The last 12 bytes are the empty chunk that ends the file, and before it comes the checksum of the pixels.
    for length in 0..good.len() - 20 {
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
    encoder.write_header().unwrap().write_chunk(chunk::IDAT, &[]).unwrap();
    let error = single(&file).unwrap_err().to_string();
    assert!(error.contains("at most 16777216 pixels, found 32768 x 32768; resize"), "{error}");
}

#[test]
fn a_folder_with_a_file_of_arrays_says_to_pass_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train-images", &[0, 0, 8, 3, 0, 0, 0, 1]);
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("train-images alone; pass the file itself"), "{error}");
    write(folder.path(), "x.npy", b"\x93NUMPY\x01\0");
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("found 2 other files, such as ") && error.ends_with("pass a file itself"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "notes", b"no image");
    assert!(load(folder.path()).unwrap_err().to_string().ends_with("expected PNG files, found 1 other file"));
}

#[test]
fn folders_without_images_or_with_too_much_are_errors() {
    let image = gray((1, 1), &[0]);
    for (files, expected) in [
        (vec!["a.png", "ash/1.png"], "found both"),
        (vec!["train/ash/1.png", "test/ash/1.png"], "test/, train/: these look like splits (or pairs), not"),
        (vec!["data/ash/1.png", "more/ash/1.png"], "data/ash; pass one of data/, more/"),
        (vec!["data/ash/1.png"], "data/ash; pass data/"),
        (vec![".hidden"], "expected PNG files, found none"),
        (vec!["ash/.hidden"], "expected PNG files, found none"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|name| write(folder.path(), name, &image));
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{files:?}: {error}");
    }
    for (names, parts) in [
        (&["train", "test"][..], true),
        (&["Train", "VAL", "Test"], true),
        (&["noisy", "clean"], true),
        (&["images", "masks"], true),
        (&["inputs", "targets"], true),
        (&["train"], false),
        (&["train", "bus"], false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| write(folder.path(), &format!("{name}/1.png"), &image));
        let error = load(folder.path()).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            error.ends_with("these look like splits (or pairs), not classes; pass one of them"),
            parts,
            "{names:?}: {error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    (0..256).for_each(|class| write(folder.path(), &format!("{class:03}/x.png"), &image));
    let Folder { images, classes, .. } = load(folder.path()).unwrap();
    assert_eq!((images.labels().unwrap()[255], classes[255].as_str()), (255, "255"));
    write(folder.path(), "256/x.png", &image);
    assert!(load(folder.path()).unwrap_err().to_string().contains("at most 256 subfolders"));
    assert!(matches!(load(Path::new("/nowhere")), Err(Error::Io { .. })));
    for start in [&b"\xff\xd8\xff\xe0"[..], b"BM\x40\0\0\0\0\0\0\0", b"GIF89a"] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "1.png", &image);
        write(folder.path(), "2.jpg", start);
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("2.jpg: content: expected PNG, found a"), "{error}");
    }
}
