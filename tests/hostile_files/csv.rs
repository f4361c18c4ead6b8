//! CSV tables as people have them, and as nobody should.

use crate::{Counted, FIXED, every_bit_flipped, peak, refused};
use autoencoder::{
    Error,
    data::csv::{self, CsvOptions, Table},
    ndarray::array,
};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::{self, Read};

fn read(file: &[u8]) -> Result<Table, Error> {
    csv::read(file, "x.csv", &CsvOptions::default())
}

fn labeled(file: &str, label: &str) -> Result<Table, Error> {
    let options = CsvOptions { label: Some(label.to_owned()), ..CsvOptions::default() };
    csv::read(file.as_bytes(), "x.csv", &options)
}

fn gzip(content: impl Read) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    io::copy(&mut { content }, &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn dialects_give_the_same_table() {
    let expected = array![[1.0, -2.5, 3e-3], [4.0, 0.5, 6.0]];
    for file in [
        "1,-2.5,3e-3\n4,.5,6",
        "a,b,c\n1,-2.5,3e-3\n4,.5,6\n",
        "\u{feff}a,b,c\r\n1,-2.5,3e-3\r\n4,.5,+6\r\n",
        "\u{feff}1,-2.5,3e-3\n4,.5,6\n",
        "\u{feff}\"a\",b,c\n1,-2.5,3e-3\n4,.5,6\n",
        "1;-2.5;3e-3\n4;.5;6\n",
        "a\tb\tc\n1\t-2.5\t3e-3\n4\t.5\t6\n",
        "\"a,\"\"1\"\"\",\"b\nb\",c\n\"1\",\"-2.5\",3e-3\n4,.5,\"6\"\n",
        " a , b , c \n 1 , -2.5 , 3e-3 \n 4 , .5 , 6 \n",
        "\n\na,b,c\n\n1,-2.5,3e-3\n\n4,.5,6\n\n",
        "a,0,1\n1,-2.5,3e-3\n4,.5,6\n",
        "1,-2.5,3e-3\r4,.5,6\r",
        "sep=;\r\n1;-2.5;3e-3\r\n4;.5;6\r\n",
        "\u{feff}sep=,\na,b,c\n1,-2.5,3e-3\n4,.5,6\n",
        "1,-2.5,3e-3,\n4,.5,6,\n",
        "a,b,c,\n1,-2.5,3e-3,\n4,.5,6,\n",
        "a,b,c\n1,-2.5,3e-3\n4,.5,6\n,,\n,,\n",
    ] {
        let table = read(file.as_bytes()).unwrap();
        assert_eq!(table.rows, expected, "{file:?}");
        assert_eq!(table.columns.len(), if file.contains('a') { 3 } else { 0 }, "{file:?}");
        assert_eq!(table.labels, None);
        assert_eq!(read(&gzip(file.as_bytes())).unwrap(), table);
    }
    assert_eq!(read(b"a\n1\n2").unwrap().rows, array![[1.0], [2.0]]);
    assert_eq!(read(b"gr\xf6\xdfe,b\n1,2").unwrap().columns[1], "b");
    let options = CsvOptions { delimiter: Some(b'|'), header: Some(true), label: None };
    let table = csv::read(&b"1|2\n3|4\n"[..], "x.csv", &options).unwrap();
    assert_eq!((table.rows, table.columns), (array![[3.0, 4.0]], vec!["1".to_owned(), "2".to_owned()]));
}

/// pandas writes such headers for a frame whose columns have no names.
#[test]
fn a_first_line_that_counts_columns_is_a_header() {
    let rows = array![[9.0, 8.0, 7.0], [0.0, 1.0, 2.0]];
    for header in ["0,1,2", "1,2,3", "\"0\",\"1\",\"2\"", " 0 , 1 , 2 "] {
        let table = read(format!("{header}\n9,8,7\n0,1,2\n").as_bytes()).unwrap();
        assert_eq!((&table.rows, table.columns.len()), (&rows, 3), "{header}");
    }
    let wide: Vec<String> = (0..256).map(|column| column.to_string()).collect();
    let table = read(format!("{}\n{}\n", wide.join(","), vec!["7"; 256].join(",")).as_bytes()).unwrap();
    assert_eq!(table.rows.dim(), (1, 256));
    for first in ["0,1", "1,2", "0,1,3", "2,3,4", "0,2,4", "0.0,1.0,2.0", "0,0,0", "1,0,1"] {
        let second = first.replace(|c: char| c.is_ascii_digit(), "9");
        let table = read(format!("{first}\n{second}\n").as_bytes()).unwrap();
        assert_eq!((table.rows.nrows(), table.columns.len()), (2, 0), "{first}");
    }
    let forced = CsvOptions { header: Some(false), ..CsvOptions::default() };
    assert_eq!(csv::read(&b"0,1,2\n9,8,7\n"[..], "x.csv", &forced).unwrap().rows.nrows(), 2);
    assert_eq!(labeled("0,1,2\n9,8,7\n", "2").unwrap().labels, Some(vec!["7".to_owned()]));
    for (file, expected) in [
        (",0,1\n0,9,8\n1,7,6\n", "column 1; if these are row numbers of pandas, save with index=False"),
        (",0\n0,9\n", "save with index=False"),
        ("0,1,2\n", "found none; a first line of 0, 1, 2, ... or 1, 2, 3, ... is a header"),
    ] {
        let error = refused(file.as_bytes(), 20, read);
        assert!(error.starts_with("x.csv: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn labels_are_found_by_name_or_number() {
    for (table, columns) in [
        (read(b"label,a,b\nx,1,2\n7,3,4\n"), 2),
        (read(b"a,Label,b\n1,x,2\n3,7,4\n"), 2),
        (labeled("a,b,class\n1,2,x\n3,4,7\n", "class"), 2),
        (labeled("a,b,Class\n1,2,x\n3,4,7\n", "class"), 2),
        (labeled("1,2,x\n3,4,7\n", "3"), 0),
        (labeled("x,1,2\n7,3,4\n", "1"), 0),
        (labeled("2,a,b\nx,1,2\n7,3,4\n", "2"), 2),
    ] {
        let table = table.unwrap();
        assert_eq!((&table.rows, table.columns.len()), (&array![[1.0, 2.0], [3.0, 4.0]], columns));
        assert_eq!(table.labels, Some(vec!["x".to_owned(), "7".to_owned()]));
    }
    for (table, expected) in [
        (labeled("a,b\n1,2\n", "c"), "column of labels: expected `c`, found the columns a, b"),
        (labeled("1,2\n", "c"), "expected a number from 1 to 2, as there is no header, found `c`"),
        (labeled("1,2\n", "0"), "expected a number from 1 to 2"),
        (labeled("1,2\n", "3"), "expected a number from 1 to 2"),
        (read(b"label,label\n1,2\n"), "found columns 1 and 2"),
        (read(b"label\n1\n"), "a column of labels only"),
        (read(b"label,a\n,2\n"), "label: expected text, found `` at line 2, column 1 (label); fill or drop"),
    ] {
        let error = table.unwrap_err().to_string();
        assert!(error.starts_with("x.csv: ") && error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn what_is_no_number_is_named_with_its_position() {
    for (file, expected) in [
        (
            &b"label,pixel0,pixel1\n7,0,0\n7,abc,0\n"[..],
            "cell: expected a finite number, found `abc` at line 3, column 2 (pixel0)",
        ),
        (b"1,2\n3,abc\n", "`abc` at line 2, column 2; if these are labels, name their column"),
        (b"a,b\n\n\n1,2\n3,\n", "`` at line 5, column 2 (b); fill or drop missing values first"),
        (b"1,2\n3,NaN\n", "`NaN` at line 2, column 2; fill or drop missing values first"),
        (b"1,,3\n1,2,3\n", "`` at line 1, column 2; fill or drop"),
        (b"a,b\n1,n/a\n", "fill or drop missing values first"),
        (b"1,2\n1,inf\n", "`inf` at line 2, column 2; replace infinite"),
        (b"1,2\n1,1e39\n", "beyond the range of f32"),
        (b"1,5;2,5\n3,5;4,5\n", "`1,5` at line 1, column 1; write a decimal point"),
        (b"a;b\n1.234,5;2\n", "write a decimal point"),
        (b"a,b\n\"1,234\",2\n", "write a decimal point, and no commas"),
        (b"a,b\n10%,2\n", "write fractions"),
        (b"1.0e+00 2.0e+00\n3.0e+00 4.0e+00\n", "delimiter=\",\""),
        (b"a,b\n1,2,3\n", "number of cells: expected 2, as in line 1, found 3 in line 2"),
        (b"1,2\n1,2\n1\n", "expected 2, as in line 1, found 1 in line 3"),
        (b"a,b\n\"1,2\n3,4\n5,6\n", "found 1 in line 2; is a quote not closed?"),
        (b"a\n\"1\n3\n5\n", "line 2, column 1 (a); is a quote not closed?"),
        (
            b",a,b\n0,1,2\n",
            "none at line 1, column 1; if these are row numbers of pandas, save with index=False",
        ),
        (b"a,b\n", "expected rows below the header, found none"),
        (b"a,b\n1,2\n,\n3,4\n", "`` at line 3, column 1 (a); fill or drop missing values first"),
        (b"1,2,\n3,4,5\n", "number of cells: expected 2, as in line 1, found 3 in line 2"),
        (b"sep=;\na;b\n1;x\n", "`x` at line 3, column 2 (b)"),
        (b"1,2\n3,4\n\0\0\0", "found text with zero bytes (NUL) behind it, perhaps padding; remove them"),
        (
            &[&b"1,2\n".repeat(200)[..], b"\0\0"].concat(),
            "found 1 in line 201; the file has zero bytes (NUL), perhaps padding; remove them",
        ),
        (
            &[&b"1\n".repeat(300)[..], b"\0\0"].concat(),
            "at line 301, column 1; the file has zero bytes (NUL), perhaps padding",
        ),
        (
            b"# a,b\n1,2\n",
            "table: expected cells, found a comment in line 1; remove the lines with `#`, or save by numpy.savetxt(comments=\"\")",
        ),
        (b"1,2\n#3,4\n", "found a comment in line 2"),
        (b"\n\n", "blank lines only"),
        (b"", "an empty file"),
        (b"\xef\xbb\xbf", "rows"),
        (b"<!DOCTYPE html>\n<html>", "expected a CSV table, found an HTML page"),
        (b"{\"a\": 1}", "JSON text"),
        (
            b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml",
            "an Office document",
        ),
        (b"PAR1\x15\x04", "a Parquet table"),
        (b"\xff\xfea\0,\0b\0", "text in UTF-16"),
        (b"\0\x01\x02\xff,\n1,2\n", "binary data"),
    ] {
        let error = refused(file, 20, read);
        assert!(error.starts_with("x.csv: ") && error.contains(expected), "{expected}: {error}");
    }
    for delimiter in [b'"', b'\n', b'\r'] {
        let options = CsvOptions { delimiter: Some(delimiter), ..CsvOptions::default() };
        assert!(matches!(csv::read(&b"1"[..], "x", &options), Err(Error::Setting { .. })));
    }
}

#[test]
fn images_follow_the_rules_of_other_formats() {
    for (file, pixels, notices) in [
        ("0,51\n102,255\n", [0, 51, 102, 255], 0),
        ("0.0,51.0\n102.0,255.0\n", [0, 51, 102, 255], 0),
        ("0,0.2\n0.4,1\n", [0, 51, 102, 255], 0),
        ("0,1\n1,0\n", [0, 255, 255, 0], 1),
        ("0,0\n0,0\n", [0; 4], 0),
        ("0,2\n1,0\n", [0, 2, 1, 0], 0),
        ("0,1.001\n-0.001,0.5\n", [0, 255, 0, 128], 1),
    ] {
        let images = read(file.as_bytes()).unwrap().images("name", (1, 2)).unwrap();
        assert_eq!((images.name(), images.pixels()), ("name", &pixels[..]), "{file}");
        assert_eq!(images.notices().len(), notices, "{file}: {:?}", images.notices());
        assert!(images.notices().iter().all(|notice| notice.starts_with("x.csv: ")));
    }
    let color = read(b"1,2,3,4,5,7\n").unwrap().images("c", (1, 2)).unwrap();
    assert_eq!((color.channels(), color.notices().len()), (3, 1));
    for (file, shape, expected) in [
        (
            "0,256\n",
            (1, 2),
            "pixel: expected an integer from 0 to 255, found 256 at image 0, row 0, column 1",
        ),
        ("0,1\n0,-1\n", (2, 1), "-1 at image 1, row 1, column 0"),
        ("0,0.5\n0,255\n", (1, 2), "255 at image 1, row 0, column 1; divide by 255 or save as uint8"),
        ("0,0.5\n0,16\n", (1, 2), "16 at image 1, row 0, column 1; the largest value is 16: divide by it"),
        (
            &("7,255\n".repeat(20) + "0.5,9\n"),
            (1, 2),
            "an integer from 0 to 255, as nearly all are, found 0.5 at image 20, row 0, column 0; round it first",
        ),
        ("0,0.5\n0,-1\n", (1, 2), "(x + 1) / 2"),
        ("1,2,4\n", (1, 2), "number of columns: expected 2, found 3; is one of them the label?"),
        ("1,2,3,5\n", (1, 2), "(images, 1, 2)"),
        ("1,2\n", (usize::MAX, 2), "shape"),
        ("1,2\n", (0, 2), "shape"),
    ] {
        let error = read(file.as_bytes()).unwrap().images("x", shape).unwrap_err().to_string();
        assert!(error.starts_with("x.csv: ") && error.contains(expected), "{expected}: {error}");
    }
    let labels = |labels: [&str; 2]| {
        let file = format!("label,a\n{},0\n{},9\n", labels[0], labels[1]);
        let images = read(file.as_bytes()).unwrap().images("x", (1, 1)).unwrap();
        (images.labels().map(<[u8]>::to_vec), images.notices().len())
    };
    assert_eq!(labels(["7", "255.0"]), (Some(vec![7, 255]), 0));
    for bad in ["256", "-1", "0.5", "cat"] {
        assert_eq!(labels(["7", bad]), (None, 1), "{bad}");
    }
}

#[test]
fn one_column_too_many_is_named() {
    for (file, expected) in [
        ("class,a,b\n7,0,0\n9,0,0\n", "column 1 (`class`) looks like labels; call it `label` in the header"),
        ("a,b,Y\n0,0,7\n", "column 3 (`Y`) looks like labels"),
        ("Unnamed: 0,a,b\n0,7,0\n", "column 1 (`Unnamed: 0`) looks like row numbers; remove it"),
        ("id,a,b\n5,7,0\n", "column 1 (`id`) looks like row numbers"),
        ("0,7,0\n1,8,0\n2,0,0\n", "the first column looks like row numbers; remove it"),
        (
            "7,0,0\n3,0,255\n7,0,0\n",
            "the first column looks like labels; give the table a first line with names, and call",
        ),
        ("0,0,7\n0,255,3\n", "the last column looks like labels"),
        (
            "a,b,c\n7,0,0\n3,0,0\n",
            "the first column looks like labels; call that column `label` in the header",
        ),
        ("0,0,0\n0,0,0\n", "is one of them the label? Then give the table a first line"),
    ] {
        let error = read(file.as_bytes()).unwrap().images("x", (1, 2)).unwrap_err().to_string();
        assert!(
            error.contains("number of columns: expected 2, found 3; ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn truncated_or_flipped_anywhere() {
    let file = b"label,pixel0,\"pixel,1\"\n7,0,255\n9,\"12\",0.5\n";
    for length in 0..file.len() {
        let (_, held) = peak(|| read(&file[..length]).map(|table| table.images("x", (1, 2))));
        assert!(held < FIXED);
    }
    every_bit_flipped(file, 0..file.len() * 8, 3, read);
    let packed = gzip(&file[..]);
    for length in 2..packed.len() {
        assert!(refused(&packed[..length], 3, read).contains("cut short"));
    }
    every_bit_flipped(&packed, 0..packed.len() * 8, 3, read);
}

#[test]
fn memory_is_in_proportion_to_the_file() {
    let line = "0,".repeat(783) + "0\n";
    let tall = line.repeat(1000);
    let wide = "1,".repeat(500_000) + "1";
    let header = "a,".repeat(300_000) + "a\n" + &"1,".repeat(300_000) + "1";
    let quoted = format!("a\n\"{}\n", "1\n".repeat(500_000));
    let blank = "\n".repeat(1_000_000);
    for (file, times) in [(tall, 6), (wide, 20), (header, 30), (quoted, 6), (blank + "1", 1)] {
        let (_, held) = peak(|| read(file.as_bytes()));
        assert!(held <= FIXED + times * file.len(), "{held} for {} of {times}", file.len());
    }
}

#[test]
fn streams_without_end() {
    let bomb = gzip(io::repeat(b'1').take(1 << 28));
    let mut stream = Counted { stream: &bomb[..], bytes: 0 };
    let (result, held) = peak(|| csv::read(&mut stream, "x.csv", &CsvOptions::default()));
    assert!(result.unwrap_err().to_string().contains("more than 100 times its size"));
    assert!(held < 100 << 20 && stream.bytes <= 1 << 20, "{held} bytes, {} read", stream.bytes);
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    for start in [&b""[..], b"1,2\n3,", b"a,b\n1,2\n"] {
        let error = csv::read(start.chain(Failing), "x.csv", &CsvOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "x.csv: disk on fire");
    }
    assert!(matches!(csv::load("/nowhere/x.csv", &CsvOptions::default()), Err(Error::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every finite f32 comes back as it was written.
    #[test]
    fn numbers_are_exact(bits in prop::collection::vec(any::<u32>(), 1..20)) {
        let numbers: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
        prop_assume!(!numbers.is_empty());
        let text: Vec<String> = numbers.iter().map(|x| format!("{x:e}")).collect();
        let found = read(text.join(",").as_bytes()).unwrap();
        prop_assert!(found.rows.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn arbitrary_text_is_harmless(text in "[0-9a,;\t\"\r\n. e-]{0,200}") {
        if let Ok(table) = read(text.as_bytes()) {
            prop_assert!(table.rows.iter().all(|number| number.is_finite()));
            prop_assert!(table.columns.is_empty() || table.columns.len() == table.rows.ncols());
        }
    }
}
