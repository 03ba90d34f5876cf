//! What people without Rust install: each package that `dist/build` made is installed as they do it, and replays the sample.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::command::{Output, Served};
use crate::hookfiles::skipped;
use crate::languages::is_there;
use crate::support::{Project, free_port, output, without_settings};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folder with the packages, and the name of the platform as npm's packages have it.
struct Dist {
    folder: PathBuf,
    platform: &'static str,
}

/// Returns the folder of the project.
pub(crate) fn root() -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    std::path::absolute(root).unwrap()
}

/// Returns when the newest file below a path was changed.
fn changed(path: &Path) -> SystemTime {
    let there = fs::metadata(path).unwrap();
    if !there.is_dir() {
        return there.modified().unwrap();
    }
    // What is hidden was installed.
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let entries = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let times = entries.map(|entry| changed(&entry.path()));
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns the packages, if they were built of what the sources are now. On CI they have to be.
fn dist() -> Option<Dist> {
    let folder = root().join("target/dist");
    let built = fs::metadata(folder.join("SHA256SUMS")).and_then(|sums| sums.modified());
    let sources = [
        "src",
        "dist",
        "Cargo.toml",
        "Cargo.lock",
        "examples/recording",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ];
    let newest = sources
        .iter()
        .map(|source| changed(&root().join(source)))
        .max();
    if built.is_err() || built.ok() < newest {
        let why = "dist/build has not built packages of the sources as they are";
        let on_ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
        assert!(!on_ci, "{why}, and CI is set");
        skipped(&format!("{why}, so none is installed"));
        return None;
    }
    let platform = match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    };
    Some(Dist { folder, platform })
}

/// Returns the wheel, if it was built.
pub(crate) fn wheel() -> Option<PathBuf> {
    Some(dist()?.package(&format!("softprobe-{VERSION}-"), ".whl"))
}

impl Dist {
    /// Returns the only package whose name begins and ends like this.
    #[track_caller]
    fn package(&self, start: &str, end: &str) -> PathBuf {
        let entries = fs::read_dir(&self.folder).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let fits = |file: &PathBuf| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(start) && name.ends_with(end)
        };
        let files: Vec<PathBuf> = files.filter(fits).collect();
        assert_eq!(files.len(), 1, "{start}…{end}: {files:?}");
        files[0].clone()
    }

    /// Returns the two packages of npm: that of this platform, and the one that people name.
    fn npm(&self) -> [PathBuf; 2] {
        let platform = format!("softprobe-{}-{VERSION}.tgz", self.platform);
        [platform, format!("softprobe-{VERSION}.tgz")].map(|name| self.folder.join(name))
    }

    /// Panics unless a program is the one that all packages hold.
    #[track_caller]
    fn is_program(&self, file: &Path) {
        let digest = |file: &Path| Sha256::digest(fs::read(file).unwrap());
        let (own, built) = (
            digest(file),
            digest(&self.folder.join("tree/bin/softprobe")),
        );
        assert_eq!(own, built, "{} is another binary", file.display());
    }
}

/// Returns a command that is found in this folder, without the settings that the tests inherited.
fn command(folder: &Path, program: &str, bin: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap();
    let folders = [bin.to_owned()];
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new(program);
    without_settings(&mut command);
    command
        .current_dir(folder)
        .env("PATH", path.unwrap())
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null());
    command
}

/// Returns the command of `docs/install.md` that begins like this.
#[track_caller]
fn shown(start: &str) -> String {
    let page = fs::read_to_string(root().join("docs/install.md")).unwrap();
    let at = page
        .find(start)
        .unwrap_or_else(|| panic!("no command begins with {start}"));
    let end = page[at..].find(['`', '\n']).unwrap();
    page[at..at + end].to_owned()
}

/// Runs a command of the page in a folder with these packages.
#[track_caller]
fn install(project: &Project, packages: &[&Path], line: &str, bin: &Path) {
    for package in packages {
        let name = package.file_name().unwrap();
        fs::copy(package, project.path().join(name)).unwrap();
    }
    let mut bash = command(project.path(), "bash", bin);
    bash.args(["-e", "-c", line])
        .env("PIP_NO_INDEX", "1")
        .env("npm_config_offline", "true")
        .env("npm_config_audit", "false")
        .env("npm_config_cache", project.path().join("cache"));
    succeeds(&mut bash);
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let ran = output(command);
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (told(&ran.stdout), told(&ran.stderr));
    assert!(
        ran.status.success(),
        "{command:?}: {}\n{out}\n{err}",
        ran.status
    );
}

/// Panics unless the installed command is of this version, replays the sample, and fails where the sample's service is broken.
#[track_caller]
fn replays_the_sample(bin: &Path, language: &[&str]) {
    let project = Project::new();
    let run = |args: &[&str]| {
        let mut command = command(project.path(), "softprobe", bin);
        Output::of(command.args(args))
    };
    run(&["--version"]).ends(0, &[&format!("softprobe {VERSION}\n")]);
    let sample = [&["sample"], language].concat();
    let next = "softprobe suite run softprobe-sample/sample.suite.yaml --app-env DEFECT=1";
    run(&sample).ends(0, &["test result: ok. 2 passed; 0 failed", next]);
    let broken: Vec<&str> = next.split(' ').skip(1).collect();
    run(&broken).ends(20, &["0 passed; 2 failed", "$.cents", "-> \"USD\""]);
}

#[test]
fn the_wheel_is_all_that_a_user_of_python_needs() {
    let Some(dist) = dist().filter(|_| is_there(&["python3", "-m", "venv", "--help"])) else {
        return;
    };
    let project = Project::new();
    let wheel = dist.package(&format!("softprobe-{VERSION}-"), ".whl");
    succeeds(
        Command::new("python3")
            .args(["-m", "venv", "venv"])
            .current_dir(project.path()),
    );
    let bin = project.path().join("venv/bin");
    install(&project, &[&wheel], &shown("pip install "), &bin);
    dist.is_program(&bin.join("softprobe"));
    replays_the_sample(&bin, &[]);
}

#[test]
fn the_npm_package_is_all_that_a_user_of_node_needs() {
    let Some(dist) = dist().filter(|_| is_there(&["npm", "--version"])) else {
        return;
    };
    let project = Project::new();
    let [platform, named] = dist.npm();
    project.write("package.json", "{}");
    let line = shown("npm install ").replace("linux-x64", dist.platform);
    install(&project, &[&named, &platform], &line, Path::new(""));
    let bin = project.path().join("node_modules/.bin");
    let installed = format!("node_modules/@softprobe/{}/bin/softprobe", dist.platform);
    dist.is_program(&project.path().join(installed));
    replays_the_sample(&bin, &["--language", "node"]);

    // A signal that only its own process gets reaches the program, which ends in order, and not as who is killed does.
    let mut serve = command(project.path(), "softprobe", &bin);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0"]);
    Served::of(&mut serve).stop().ends(0, &[]);

    // Without the package of its platform, it says what to do.
    let alone = Project::new();
    alone.write("package.json", "{}");
    let line = "npm install --omit=optional ./softprobe-*.tgz";
    install(&alone, &[&named], line, Path::new(""));
    let bin = alone.path().join("node_modules/.bin");
    let name = format!("the package @softprobe/{} is missing", dist.platform);
    Output::of(&mut command(alone.path(), "softprobe", &bin))
        .ends(1, &[&name, "without leaving out optional dependencies"]);
}

#[test]
fn the_debian_package_is_installed_by_dpkg() {
    let Some(dist) = dist().filter(|_| is_there(&["dpkg", "--version"])) else {
        return;
    };
    let package = dist.package("softprobe_", ".deb");
    if !rustix::process::geteuid().is_root() {
        return skipped("dpkg installs for root alone, so the Debian package is not installed");
    }
    // A root of its own that knows what is installed on the system, so that what the package depends on is looked up.
    let project = Project::new();
    let database = "var/lib/dpkg";
    let known = fs::read(Path::new("/").join(database).join("status")).unwrap();
    project.write(&format!("{database}/status"), known);
    for folder in ["info", "updates"] {
        fs::create_dir_all(project.path().join(database).join(folder)).unwrap();
    }
    let mut dpkg = command(project.path(), "dpkg", Path::new(""));
    // Programs that no package here runs need not be in the path.
    dpkg.args(["--root=.", "--log=/dev/null"])
        .args(["--force-bad-path", "--install"])
        .arg(package);
    succeeds(&mut dpkg);
    let usr = project.path().join("usr");
    dist.is_program(&usr.join("bin/softprobe"));
    for file in [
        "share/man/man1/softprobe.1.gz",
        "share/man/man1/softprobe-suite-run.1.gz",
        "share/bash-completion/completions/softprobe",
        "share/zsh/site-functions/_softprobe",
        "share/fish/vendor_completions.d/softprobe.fish",
        "share/doc/softprobe/copyright",
    ] {
        let there = fs::metadata(usr.join(file));
        assert!(there.is_ok_and(|there| there.len() > 0), "{file}");
    }
    replays_the_sample(&usr.join("bin"), &[]);
}

#[test]
fn the_tarball_is_unpacked_anywhere() {
    let Some(dist) = dist() else {
        return;
    };
    let project = Project::new();
    let tarball = dist.package(&format!("softprobe-{VERSION}-"), ".tar.gz");
    let line = shown("tar -C ").replace("/usr/local", ".");
    install(&project, &[&tarball], &line, Path::new(""));
    dist.is_program(&project.path().join("bin/softprobe"));
    let page = fs::read_to_string(project.path().join("share/man/man1/softprobe-suite-run.1"));
    assert!(page.unwrap().contains("\\-\\-shard"));
    let completed = fs::read_to_string(project.path().join("share/zsh/site-functions/_softprobe"));
    assert!(completed.unwrap().starts_with("#compdef softprobe"));
    replays_the_sample(&project.path().join("bin"), &[]);
}

#[test]
fn the_final_stage_of_the_image_holds_all_that_the_program_needs() {
    let Some(dist) = dist() else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can change the root folder, so the image's is not tried");
    }
    // What the final stage copies is what the script makes, and nothing else.
    let file = fs::read_to_string(root().join("dist/Dockerfile")).unwrap();
    let (_, last) = file.split_once("FROM scratch\n").unwrap();
    let copied: Vec<&str> = last
        .lines()
        .filter(|line| line.starts_with("COPY"))
        .collect();
    assert_eq!(copied, ["COPY --from=build /root-folder /"]);
    assert!(
        file.contains("&& dist/root target/release/softprobe /root-folder\n"),
        "{file}"
    );
    let image = Project::new();
    let mut make = command(&root(), "dist/root", Path::new(""));
    succeeds(
        make.arg(dist.folder.join("tree/bin/softprobe"))
            .arg(image.path()),
    );
    dist.is_program(&image.path().join("usr/bin/softprobe"));

    let sample = crate::breakage::sample("", "", "");
    let work = image.path().join("work");
    fs::create_dir(&work).unwrap();
    for folder in ["suites", "cases"] {
        let mut copy = command(sample.path(), "cp", Path::new(""));
        succeeds(copy.args(["-r", folder]).arg(&work));
    }
    let proxy = format!("127.0.0.1:{}", free_port());
    let shop = crate::breakage::start(&format!("http://{proxy}")).unwrap();
    let mut run = command(Path::new("/"), "chroot", Path::new(""));
    run.arg(image.path())
        .args(["/usr/bin/softprobe", "suite", "run"]);
    run.args([
        "/work/suites/auto.suite.yaml",
        "/work/suites/fulfilment.suite.yaml",
    ]);
    run.args([
        "--app-url",
        &shop.url(),
        "--proxy-listen",
        &proxy,
        "--html",
        "/work/page.html",
    ]);
    Output::of(&mut run).ends(0, &["test result: ok. 6 passed; 0 failed"]);
    assert!(work.join("page.html").exists());
}

#[test]
fn the_version_stands_in_one_place() {
    // Nothing else that packages are made of repeats it.
    for folder in ["dist", "dist/npm"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains(VERSION), "{}", path.display());
            }
        }
    }
    let pyproject = fs::read_to_string(root().join("pyproject.toml")).unwrap();
    assert!(!pyproject.contains(VERSION));
    let Some(dist) = dist() else {
        return;
    };
    let sums = fs::read_to_string(dist.folder.join("SHA256SUMS")).unwrap();
    let names = sums.lines().map(|line| line.split_once("  ").unwrap().1);
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 4, "{names:?}");
    assert!(names.iter().all(|name| name.contains(VERSION)), "{names:?}");
    let [_, named] = dist.npm();
    let mut tar = command(&root(), "tar", Path::new(""));
    let told = output(tar.args([
        OsStr::new("-xOf"),
        named.as_os_str(),
        OsStr::new("package/package.json"),
    ]));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["version"], VERSION);
    let own = format!("@softprobe/{}", dist.platform);
    assert_eq!(told["optionalDependencies"][own], VERSION);
}
