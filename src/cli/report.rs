//! `report`: pages and files of runs that are over.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Subcommand;

use super::files;
use super::merge::Merge;
use super::output::{Failed, Output, failure, invalid};
use crate::disk::{self, Readers, project_root, relative};
use crate::report::{RunReport, page};
use crate::runner::{last_run, page_of_last_run, read_run};

/// How long a browser may take to say that it can't show a page.
const SLOWEST_BROWSER: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum Report {
    /// Make a page for a browser of a run that is over
    Html(Html),
    /// Show a run in the browser
    Open(Open),
    /// Put several runs or JUnit files together, such as the parts of one run on several machines
    Merge(Box<Merge>),
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
    let mut run = match file {
        Some(file) => read_run(file)?,
        None => last_run(&project_root())?,
    };
    run.tell_missing();
    Ok(run)
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
        let run = run_of(self.file.as_deref()).inspect_err(|_| {
            // It would be taken for the page of this run.
            self.out.iter().for_each(|out| disk::remove(out));
        })?;
        let out = self.out.or_else(|| self.file.as_deref().map(beside));
        let shown = write_page(&run, out)?.display().to_string();
        let text = format!("{}\nwrote {shown}\n", run.summary());
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
