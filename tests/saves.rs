//! A save that is killed, runs out of space or lacks permission leaves the old file or the new one, never a mixture.
#![cfg(unix)]

use autoencoder::{Autoencoder, Error};
use rand::Rng;
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Names the file that [`child`] writes. If it is not set, that test does nothing.
const TARGET: &str = "AUTOENCODER_TEST_SAVE_TO";
/// How often [`child`] saves: "forever", otherwise once.
const HOW: &str = "AUTOENCODER_TEST_SAVE_HOW";

/// Two models whose files differ in length.
fn models() -> [Autoencoder; 2] {
    [100, 10].map(|code| Autoencoder::builder(784).hidden(&[64]).code(code).build().unwrap())
}

/// Not a test by itself: the tests below run it in another process.
#[test]
fn child() {
    let Some(path) = env::var_os(TARGET) else { return };
    let models = models();
    if env::var(HOW).is_ok_and(|how| how == "forever") {
        println!("ready");
        loop {
            models.iter().for_each(|model| model.save(&path).unwrap());
        }
    }
    match models[1].save(&path) {
        Ok(()) => println!("saved"),
        Err(Error::Io { path: found, cause }) => {
            assert_eq!(found, Path::new(&path));
            println!("refused: {cause}");
        }
        Err(error) => println!("another error: {error}"),
    }
}

fn child_command(path: &Path) -> Vec<String> {
    let program = env::current_exe().unwrap().display().to_string();
    vec![
        "env".into(),
        format!("{TARGET}={}", path.display()),
        program,
        "--exact".into(),
        "child".into(),
        "--nocapture".into(),
    ]
}

/// The output of a child that saves the second model after the shell command `before`.
fn child_after(before: &str, wrapper: &[&str], path: &Path) -> String {
    let mut words: Vec<String> = wrapper.iter().map(|&word| word.to_owned()).collect();
    words.extend(["sh".into(), "-c".into(), format!("{before} exec \"$@\""), "sh".into()]);
    words.extend(child_command(path));
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn scratch_files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count() - 1
}

/// 1,000 processes that save two models in turn are killed at random moments. A killed process may leave a temporary
/// file behind; the next one removes it.
#[test]
fn killed_while_saving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let models = models();
    let files = [1, 0].map(|index: usize| {
        models[index].save(&path).unwrap();
        fs::read(&path).unwrap()
    });
    let (mut found, mut interrupted) = ([0; 2], 0);
    let mut random = rand::rng();
    for round in 0..1_000 {
        let words = child_command(&path);
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env(HOW, "forever")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("ready")), "round {round}");
        thread::sleep(Duration::from_micros(random.random_range(0..16_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let file = fs::read(&path).unwrap();
        let which =
            files.iter().position(|sound| *sound == file).expect("neither the old file nor the new one");
        found[which] += 1;
        assert_eq!(Autoencoder::load(&path).unwrap(), models[1 - which], "round {round}");
        let left = scratch_files(folder.path());
        assert!(left <= 1, "round {round}: {left} scratch files");
        interrupted += left;
    }
    println!("files found: {found:?}; killed with a scratch file there: {interrupted}");
    assert!(found[0] > 0 && found[1] > 0 && interrupted > 0, "{found:?} {interrupted}");
    models[0].save(&path).unwrap();
    assert_eq!(scratch_files(folder.path()), 0);
}

/// The old file in a new folder, for a save that must fail.
fn old_file() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    models()[0].save(&path).unwrap();
    let old = fs::read(&path).unwrap();
    (folder, path, old)
}

/// Files may not grow beyond 8 KiB (16 blocks), as if the disk were full.
#[test]
fn a_limit_on_the_size_of_files() {
    let (folder, path, old) = old_file();
    let said = child_after("trap '' XFSZ; ulimit -f 16;", &[], &path);
    assert!(said.contains("refused: File too large"), "{said}");
    assert!(fs::read(&path).unwrap() == old, "another file");
    assert_eq!(scratch_files(folder.path()), 0);
    // Without the limit the save succeeds, so the limit was the reason.
    assert!(child_after("", &[], &path).contains("saved"));
    assert!(fs::read(&path).unwrap() != old);
}

/// A file system of 1 MiB in memory, mounted for one process, if the system allows it.
#[test]
fn a_full_disk_and_one_that_is_read_only() {
    let unshare = ["unshare", "--user", "--map-root-user", "--mount"];
    let (folder, path, _) = old_file();
    let mount = format!(
        "mount -t tmpfs -o size=1m tmpfs '{}' || {{ echo cannot mount; exit; }};",
        folder.path().display()
    );
    let path = path.display();
    let verify = format!("; cat '{path}'; ls -A '{}' | wc -l", folder.path().display());
    let run = |prepare: &str| {
        let words = child_command(Path::new(&path.to_string())).join(" ");
        let script = format!("{mount} printf old > '{path}'; {prepare} {words} 2>&1 {verify}");
        let output = Command::new(unshare[0]).args(&unshare[1..]).args(["sh", "-c", &script]).output();
        output.map_or_else(
            |error| format!("cannot mount: {error}"),
            |output| {
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr)
            },
        )
    };
    let said = run("");
    if !said.contains("running 1 test") {
        println!("skipped, for nothing can be mounted here: {said}");
        return;
    }
    assert!(said.contains("saved"), "{said}");
    let fill = format!("head -c 900k /dev/zero > '{}/filler';", folder.path().display());
    let said = run(&fill);
    assert!(said.contains("refused: No space left on device") && said.ends_with("old2\n"), "{said}");
    let said = run(&format!("mount -o remount,ro '{}';", folder.path().display()));
    assert!(said.contains("refused: Read-only file system") && said.ends_with("old1\n"), "{said}");
}

/// Permissions do not restrict root, so root saves as another user.
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path, old) = old_file();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let probe = folder.path().join("probe");
    let root = fs::write(&probe, "").is_ok();
    let wrapper: &[&str] = if root { &["setpriv", "--reuid", "65534", "--clear-groups"] } else { &[] };
    if root {
        fs::remove_file(&probe).unwrap();
        // Other users may not be able to reach the program itself.
        let able = Command::new("setpriv")
            .args(&wrapper[1..])
            .arg(env::current_exe().unwrap())
            .arg("--list")
            .output();
        if !able.is_ok_and(|output| output.status.success()) {
            println!("skipped, for root cannot run this as another user");
            return;
        }
    }
    let said = child_after("", wrapper, &path);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(said.contains("refused: Permission denied"), "{said}");
    assert!(fs::read(&path).unwrap() == old, "another file");
    assert_eq!(scratch_files(folder.path()), 0);
}

#[test]
fn places_that_are_no_files() {
    let (folder, path, old) = old_file();
    let model = &models()[1];
    for place in [
        folder.path().to_owned(),
        folder.path().join("missing/model.safetensors"),
        path.join("model.safetensors"),
        folder.path().join("missing/.."),
        folder.path().join("n".repeat(300)),
        "".into(),
        "/dev/null".into(),
    ] {
        let error = model.save(&place).unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if *path == place), "{error}");
    }
    assert!(fs::read(&path).unwrap() == old, "another file");
    assert_eq!(scratch_files(folder.path()), 0);
    // The longest name that file systems allow works.
    model.save(folder.path().join("n".repeat(255))).unwrap();
}
