//! Runs the files of `docs/ci.md` as the services of GitHub and GitLab do it: each job in a checkout of its own, with the files
//! that others handed on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_yaml::Value;

use crate::dist::root;
use crate::languages::is_there;
use crate::support::{Project, output, without_cargo, without_settings};

/// The cases, of which one fails.
const CASES: usize = 10;
const FAILING: usize = 4;

/// Returns the file that the page shows under this name.
fn file_of_page(name: &str) -> Value {
    let page = fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let (_, after) = page.split_once(&format!("```yaml\n# {name}\n")).unwrap();
    let (text, _) = after.split_once("```\n").unwrap();
    serde_yaml::from_str(text).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Returns whether a job or a step is to be taken after one that failed.
fn is_always(taken: &Value) -> bool {
    let condition = taken.get("if");
    condition.is_some_and(|condition| text(condition) == "${{ !cancelled() }}")
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// A service that runs jobs.
struct Service {
    /// What is checked out.
    repository: Project,
    /// What jobs handed on, a folder for each name.
    artifacts: Project,
    /// Where programs are that jobs install, and what stands for others.
    machine: Project,
}

/// A job on a machine of its own.
struct Job<'s> {
    service: &'s Service,
    folder: Project,
    env: Vec<(String, String)>,
}

impl Service {
    /// Returns a service with a repository of a suite, and with the wheel in its folder `tools`.
    fn new(wheel: &Path) -> Self {
        let repository = Project::new();
        let recording = root().join("examples/recording");
        let own = |file: &str| fs::read_to_string(recording.join(file)).unwrap();
        repository.write("suites/sample.suite.yaml", own("python.suite.yaml"));
        repository.write("suites/server.py", own("server.py"));
        let case = own("cases/get-items-7.case.json");
        for n in 0..CASES {
            let case = match n {
                FAILING => case.replace("\\\"cents\\\": 499", "\\\"cents\\\": 498"),
                _ => case.clone(),
            };
            repository.write(&format!("suites/cases/c{n}.case.json"), case);
        }
        let tools = repository.path().join("tools");
        copy(wheel, &tools.join(wheel.file_name().unwrap()));
        let machine = Project::new();
        let mut venv = Command::new("python3");
        let made = output(
            venv.args(["-m", "venv", "venv"])
                .current_dir(machine.path()),
        );
        assert!(made.status.success(), "{made:?}");
        // The repository of the example is this one, whose tests are built already.
        let manifest = root().join("Cargo.toml");
        let shim = format!(
            "#!/bin/sh\nPATH=${{PATH#*:}}\ncase \"$2\" in archive) shift 2; exec cargo nextest archive --locked --manifest-path '{}' \"$@\";; esac\n\
             exec cargo \"$@\"\n",
            manifest.display(),
        );
        let shim = machine.write("venv/bin/cargo", shim);
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(shim, runs).unwrap();
        Self {
            repository,
            artifacts: Project::new(),
            machine,
        }
    }

    fn job(&self, env: Vec<(String, String)>) -> Job<'_> {
        Job {
            service: self,
            folder: Project::new(),
            env,
        }
    }

    fn artifact(&self, name: &str) -> PathBuf {
        self.artifacts.path().join(name)
    }
}

impl Job<'_> {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn checkout(&self) {
        copy(self.service.repository.path(), self.path());
    }

    /// Runs a script, and returns whether it succeeded.
    fn run(&self, script: &str) -> bool {
        let path = std::env::var("PATH").unwrap();
        let bin = self.service.machine.path().join("venv/bin");
        let mut bash = Command::new("bash");
        without_cargo(&mut bash);
        without_settings(&mut bash);
        bash.args(["-e", "-c", script])
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("CI", "true")
            .env("PIP_NO_INDEX", "1")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        let ran = output(&mut bash);
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = ran.status.code();
        // What may fail is a run of which a case fails, and what asks whether one has failed.
        let asks = script.starts_with("test ") && code == Some(1);
        let expected = asks || [Some(0), Some(20), Some(100)].contains(&code);
        assert!(
            expected,
            "{script}: {code:?}\n{}\n{}",
            told(&ran.stdout),
            told(&ran.stderr)
        );
        ran.status.success()
    }

    /// Takes a step of a workflow on GitHub, if it is to be taken after those before it.
    fn step(&self, step: &Value, well: &mut bool, filled: &impl Fn(&str) -> String) {
        if !*well && !is_always(step) {
            return;
        }
        if let Some(script) = step.get("run") {
            *well &= self.run(&filled(text(script)));
            return;
        }
        let with = |name: &str| {
            step.get("with")
                .and_then(|with| with.get(name))
                .map(|value| filled(text(value)))
        };
        match text(&step["uses"]) {
            "actions/checkout@v4" => self.checkout(),
            "actions/setup-python@v5" => assert!(self.run("pip --version")),
            "taiki-e/install-action@nextest" => assert!(self.run("cargo nextest --version")),
            "actions/upload-artifact@v4" => {
                let (paths, artifact) = (
                    with("path").unwrap(),
                    self.service.artifact(&with("name").unwrap()),
                );
                for path in paths.lines() {
                    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
                    let may = step["with"].get("include-hidden-files");
                    let may = may.and_then(Value::as_bool) == Some(true);
                    assert!(!is_hidden || may, "{path} is hidden, and not taken");
                    let from = self.path().join(path);
                    match from.is_dir() {
                        true => copy(&from, &artifact),
                        false => copy(&from, &artifact.join(from.file_name().unwrap())),
                    }
                }
            }
            "actions/download-artifact@v4" => {
                let to = with("path")
                    .map_or_else(|| self.path().to_owned(), |path| self.path().join(path));
                if let Some(name) = with("name") {
                    return copy(&self.service.artifact(&name), &to);
                }
                let start = with("pattern").unwrap();
                for entry in fs::read_dir(self.service.artifacts.path()).unwrap() {
                    let entry = entry.unwrap();
                    let name = entry.file_name().into_string().unwrap();
                    if name.starts_with(start.strip_suffix('*').unwrap()) {
                        copy(&entry.path(), &to.join(name));
                    }
                }
            }
            other => panic!("no step is known that uses {other}"),
        }
    }
}

/// Runs a workflow on GitHub, and returns the service and how many of its jobs failed.
fn github(wheel: &Path, name: &str) -> (Service, usize) {
    let service = Service::new(wheel);
    if name.contains("nextest") {
        service.repository.write("Cargo.toml", "[workspace]\n");
    }
    let workflow = file_of_page(name);
    let mut failed = 0;
    for (_, job) in workflow["jobs"].as_mapping().unwrap() {
        assert!(failed == 0 || is_always(job));
        let matrix = job
            .get("strategy")
            .map(|strategy| &strategy["matrix"]["part"]);
        let parts: Vec<String> = match matrix {
            Some(parts) => {
                let parts = parts.as_sequence().unwrap().iter();
                parts
                    .map(|part| part.as_u64().unwrap().to_string())
                    .collect()
            }
            None => vec![String::new()],
        };
        for part in parts {
            let result = if failed == 0 { "success" } else { "failure" };
            let filled = |text: &str| {
                let text = text.replace("${{ matrix.part }}", &part);
                text.replace("${{ needs.replay.result }}", result)
            };
            let mut env = vec![("GITHUB_ACTIONS".to_owned(), "true".to_owned())];
            for (name, value) in job
                .get("env")
                .and_then(Value::as_mapping)
                .into_iter()
                .flatten()
            {
                env.push((text(name).to_owned(), filled(text(value))));
            }
            let one = service.job(env);
            let mut well = true;
            for step in job["steps"].as_sequence().unwrap() {
                one.step(step, &mut well, &filled);
            }
            failed += usize::from(!well);
        }
    }
    (service, failed)
}

/// Returns the wheel, if `dist/build` has built it and there is Python.
fn wheel() -> Option<PathBuf> {
    let wheel = crate::dist::wheel()?;
    is_there(&["python3", "-m", "venv", "--help"]).then_some(wheel)
}

#[track_caller]
fn has_all(page: &Path) {
    let page = fs::read_to_string(page).unwrap();
    let told = format!("{CASES} cases");
    assert!(page.contains(&told), "{told} is not in the page");
    for n in 0..CASES {
        assert!(page.contains(&format!("c{n}")), "c{n} is not in the page");
    }
    assert!(!page.contains("broke off"));
}

#[test]
fn github_on_one_machine() {
    let Some(wheel) = wheel() else { return };
    let (service, failed) = github(&wheel, ".github/workflows/replay.yml");
    assert_eq!(failed, 1);
    has_all(&service.artifact("report").join("report.html"));
}

#[test]
fn github_on_five_machines() {
    let Some(wheel) = wheel() else { return };
    // The part with the case that fails, and the job that puts them together.
    let (service, failed) = github(&wheel, ".github/workflows/parts.yml");
    assert_eq!(failed, 2);
    has_all(&service.artifact("report").join("report.html"));
}

#[test]
fn github_with_nextest() {
    let Some(wheel) = wheel().filter(|_| is_there(&["cargo", "nextest", "--version"])) else {
        return;
    };
    let (service, failed) = github(&wheel, ".github/workflows/nextest.yml");
    assert_eq!(failed, 2);
    has_all(&service.artifact("report").join("report.html"));
}

#[test]
fn gitlab_on_five_machines() {
    let Some(wheel) = wheel() else { return };
    let service = Service::new(&wheel);
    let pipeline = file_of_page(".gitlab-ci.yml");
    let stages = pipeline["stages"].as_sequence().unwrap();
    let mut failed = 0;
    for stage in stages {
        let job = &pipeline[text(stage).replace("test", "replay")];
        assert_eq!(&job["stage"], stage);
        let count = job
            .get("parallel")
            .map_or(1, |count| count.as_u64().unwrap());
        for index in 1..=count {
            let (index, total) = (index.to_string(), count.to_string());
            let env = [
                ("CI_NODE_INDEX", index.as_str()),
                ("CI_NODE_TOTAL", &total),
                ("GITLAB_CI", "true"),
            ];
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let one = service.job(env.to_vec());
            one.checkout();
            copy(service.artifacts.path(), one.path());
            let lines = |name: &str| {
                let lines = job.get(name).and_then(Value::as_sequence);
                lines
                    .into_iter()
                    .flatten()
                    .map(text)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            failed += usize::from(!one.run(&lines("script")));
            assert!(one.run(&lines("after_script")));
            let kept = [
                &job["artifacts"]["paths"][0],
                &job["artifacts"]["reports"]["junit"],
            ];
            for file in kept.iter().filter_map(|file| file.as_str()) {
                let file = file.replace('*', &index);
                copy(&one.path().join(&file), &service.artifact(&file));
            }
        }
    }
    assert_eq!(failed, 1);
    has_all(&service.artifact("report.html"));
}
