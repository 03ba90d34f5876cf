//! `report`: pages and files of runs that are over.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Subcommand;

use super::files;
use super::output::{Failed, Output, failure, invalid};
use crate::base::visible_line;
use crate::disk::{Readers, project_root, relative};
use crate::report::{RunReport, Verdict, in_cases, page, run_value};
use crate::runner::{ReportFlags, last_run, page_of_last_run, read_run};

/// How long a browser may take to say that it can't show a page.
const SLOWEST_BROWSER: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum Report {
    /// Make a page for a browser of a run that is over
    Html(Html),
    /// Show a run in the browser
    Open(Open),
    /// Put several runs together, such as the parts of one on several machines
    Merge(Merge),
}

#[derive(Debug, clap::Args)]
pub(super) struct Html {
    /// File that a run has kept, or that suite run --json has printed; without it, the last run
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the page goes; without it, beside FILE, or beside what is kept of the last run
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Open {
    /// Page to show, or file that a run has kept, of which a page is made; without it, the last run
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs keep such files as target/softprobe/last-run.json, or .softprobe/last-run.json where there is no Cargo.toml:\n\
  $ softprobe report merge parts/*.json --junit junit.xml --html report.html")]
pub(super) struct Merge {
    /// Files that runs have kept, or that suite run --json has printed; or globs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Write the whole run to this file, as runs keep it
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportFlags,
}

impl Report {
    pub(super) fn run(self) -> Result<Output, Failed> {
        match self {
            Self::Html(html) => html.run(),
            Self::Open(open) => open.run(),
            Self::Merge(merge) => merge.run(),
        }
    }
}

/// Returns the run in a file, or the last one.
fn run_of(file: Option<&Path>) -> Result<RunReport, Failed> {
    Ok(match file {
        Some(file) => read_run(file)?,
        None => last_run(&project_root())?,
    })
}

/// Returns what a run has come to, in a line.
fn summary(run: &RunReport) -> String {
    let broke_off = if run.broke_off { "; it broke off" } else { "" };
    format!(
        "{}: {} passed, {} failed, {} not run{broke_off}",
        in_cases(run.cases.len()),
        run.count(&[Verdict::Passed]),
        run.bad().count(),
        run.count(&[Verdict::Skipped]),
    )
}

/// Returns where the page of a run in a file goes.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("html")
}

/// Writes the page of a run, and returns where it is for display.
fn write_page(run: &RunReport, path: Option<PathBuf>) -> Result<PathBuf, Failed> {
    let path = path.unwrap_or_else(|| page_of_last_run(&project_root()));
    files::write(&path, &page(run), Readers::Usual)?;
    Ok(relative(&path))
}

impl Html {
    fn run(self) -> Result<Output, Failed> {
        let run = run_of(self.file.as_deref())?;
        let out = self.out.or_else(|| self.file.as_deref().map(beside));
        let shown = write_page(&run, out)?.display().to_string();
        let text = format!("{}\nwrote {shown}\n", summary(&run));
        Ok(Output::fine(text).field("path", shown))
    }
}

impl Open {
    fn run(self) -> Result<Output, Failed> {
        let is_page = |file: &Path| {
            let kind = file.extension().unwrap_or_default();
            kind.eq_ignore_ascii_case("html") || kind.eq_ignore_ascii_case("htm")
        };
        let page = match self.file {
            Some(file) if is_page(&file) => file,
            file => {
                let run = run_of(file.as_deref())?;
                write_page(&run, file.as_deref().map(beside))?
            }
        };
        let whole = page.canonicalize();
        show(&whole.map_err(|error| invalid(&page, error))?)?;
        let shown = relative(&page).display().to_string();
        let text = format!("{shown} is open in the browser\n");
        Ok(Output::fine(text).field("path", shown))
    }
}

/// Shows a page in the user's browser: the one that `BROWSER` names, else the system's.
fn show(page: &Path) -> Result<(), Failed> {
    let named = std::env::var("BROWSER").unwrap_or_default();
    let named = named.split(':').filter_map(shlex::split);
    let system = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut commands = named.chain([vec![system.to_owned()]]);
    let shown = page.display().to_string();
    match commands.any(|words| opens(&words, &shown)) {
        true => Ok(()),
        false => Err(failure(
            "no_browser",
            format!(
                "no browser could be started; open {shown} yourself, or name one in the variable BROWSER"
            ),
        )),
    }
}

/// Returns whether a command opens a page. One that is still there after a while is the browser itself.
fn opens(words: &[String], page: &str) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    match rest.iter().any(|word| word.contains("%s")) {
        true => command.args(rest.iter().map(|word| word.replace("%s", page))),
        false => command.args(rest).arg(page),
    };
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        return false;
    };
    let start = Instant::now();
    while start.elapsed() < SLOWEST_BROWSER {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(_) => return false,
        }
    }
    true
}

impl Merge {
    fn run(self) -> Result<Output, Failed> {
        let Self {
            files,
            out,
            reports,
        } = self;
        let paths = files::find(&files)?;
        let runs = paths.iter().map(|path| read_run(path));
        let runs = runs.collect::<Result<Vec<RunReport>, _>>()?;
        let count = runs.len();
        let mut run = RunReport::merged(runs);
        let missing = run.missing_shards();
        // What nobody has looked at must not look green.
        run.broke_off |= !missing.is_empty();
        let why = match missing.as_slice() {
            [] if run.broke_off => {
                Some("one of these runs broke off before all of its cases had ended".to_owned())
            }
            [] => None,
            [part] => Some(format!("of this run, a part is missing: {part}")),
            parts => Some(format!("of this run, parts are missing: {}", told(parts))),
        };
        run.broke_off_why = run.broke_off_why.or_else(|| why.clone());
        for name in twice(&run) {
            let line = format!("warning: {name} is in several of these runs, and is told for each");
            let _ = writeln!(std::io::stderr(), "{}", visible_line(&line));
        }
        if let Some(out) = &out {
            let text = serde_json::to_string(&run).map_err(|error| invalid(out, error))?;
            files::write(out, &(text + "\n"), Readers::Owner)?;
        }
        let reports = reports.without_blanks();
        let has_reports = reports.is_any();
        reports.write(&run)?;
        let runs = if count == 1 { "run" } else { "runs" };
        let written = match out.is_some() || has_reports {
            true => "",
            false => {
                "nothing was written; --html, --junit, --markdown, --trace and --out name files\n"
            }
        };
        let text = format!("{count} {runs}, {}\n{written}", summary(&run));
        let Some(why) = why else {
            return Ok(Output::fine(text).fields(&run_value(&run)));
        };
        let answer = Output::incomplete(text, "incomplete", &why);
        Err(Failed::from(answer.fields(&run_value(&run))))
    }
}

/// Returns parts of a run in words.
fn told(parts: &[String]) -> String {
    const TOLD: usize = 10;
    let first = parts[..parts.len().min(TOLD)].join(", ");
    match parts.len().saturating_sub(TOLD) {
        0 => first,
        n => format!("{first} and {n} more"),
    }
}

/// Returns the names of cases that are there more than once.
fn twice(run: &RunReport) -> Vec<&str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for case in &run.cases {
        *counts.entry(&case.name).or_default() += 1;
    }
    let twice = counts.into_iter().filter(|(_, count)| *count > 1);
    let mut twice: Vec<&str> = twice.map(|(name, _)| name).collect();
    twice.sort_unstable();
    twice
}
