//! `report merge`: puts runs together that are over, such as the parts of one on several machines.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::files;
use super::output::{Failed, Output, arguments, invalid};
use crate::base::encoding::split_mark;
use crate::base::{visible_line, with_causes};
use crate::disk::{self, Readers};
use crate::report::{JunitReport, RunReport, came_to, run_value};
use crate::runner::{ReportFlags, read_run};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Runs keep such files as target/softprobe/last-run.json, or .softprobe/last-run.json where there is no Cargo.toml:\n\
  $ softprobe report merge parts/*.json --junit junit.xml --html report.html\n\
JUnit files, of other tools too, become one JUnit file:\n\
  $ softprobe report merge parts/*.xml --junit junit.xml\n\
The exit code is 1 where a part is missing or broke off. Failing cases are told, and exit with 0.")]
pub(super) struct Merge {
    /// Files that runs have kept, or that suite run --json has printed, or JUnit files; or globs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Write the whole run to this file, as runs keep it
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportFlags,
}

/// What a file holds.
enum Part {
    Run(RunReport),
    Junit(JunitReport),
}

impl Merge {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let Self {
            files,
            out,
            reports,
        } = self;
        let reports = reports.without_blanks();
        let (runs, others) = read_all(&files).inspect_err(|_| {
            // What an earlier call has made would be taken for what this one could not make.
            let inputs = files::find(&files).unwrap_or_default();
            let is_input = |path: &Path| {
                let same = |input: &PathBuf| input.canonicalize().ok() == path.canonicalize().ok();
                inputs.iter().any(same)
            };
            let made = reports.paths().chain(out.as_deref());
            made.filter(|path| !is_input(path)).for_each(disk::remove);
        })?;
        match others.first() {
            None => merge_runs(runs, out.as_deref(), &reports),
            Some((first, _)) => {
                let path = only_junit(first, out.as_deref(), &reports)?;
                let others = others.into_iter().map(|(_, junit)| junit);
                let runs = runs.iter().map(JunitReport::of);
                merge_junit(runs.chain(others).collect(), path)
            }
        }
    }
}

/// What runs have kept, and JUnit files with their paths.
type Parts = (Vec<RunReport>, Vec<(PathBuf, JunitReport)>);

fn read_all(files: &[String]) -> Result<Parts, Failed> {
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for file in files::find(files)? {
        match read(&file)? {
            Part::Run(run) => runs.push(run),
            Part::Junit(junit) => others.push((file, junit)),
        }
    }
    Ok((runs, others))
}

/// Reads a file, which is XML or what a run has kept.
fn read(file: &Path) -> Result<Part, Failed> {
    let text = files::read_text(file)?;
    let (_, xml) = split_mark(&text);
    let is_named = file
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("xml"));
    if !is_named && !xml.trim_start().starts_with('<') {
        return Ok(Part::Run(read_run(file)?));
    }
    let junit = JunitReport::read(xml);
    let junit = junit.map_err(|why| invalid(file, with_causes(&why)))?;
    Ok(Part::Junit(junit))
}

/// Returns where the JUnit file goes, if nothing else is asked for: other reports tell what no JUnit file holds.
fn only_junit<'a>(
    file: &Path,
    out: Option<&Path>,
    reports: &'a ReportFlags,
) -> Result<Option<&'a str>, Failed> {
    let ReportFlags {
        junit,
        html,
        markdown,
        trace,
    } = reports;
    let asked = [
        ("--out", out.is_some()),
        ("--html", html.is_some()),
        ("--markdown", markdown.is_some()),
        ("--trace", trace.is_some()),
    ];
    match asked.iter().find(|(_, is_asked)| *is_asked) {
        None => Ok(junit.as_deref()),
        Some((flag, _)) => Err(arguments(format!(
            "{flag} can't be made of {}: a JUnit file holds too little; give the files that the runs have kept, such as \
             target/softprobe/last-run.json",
            file.display()
        ))),
    }
}

fn merge_runs(
    runs: Vec<RunReport>,
    out: Option<&Path>,
    reports: &ReportFlags,
) -> Result<Output, Failed> {
    let count = runs.len();
    warn_of_others(&runs);
    let mut run = RunReport::merged(runs);
    run.is_merged = !run.shards.is_empty();
    if let Some(out) = out {
        let text = serde_json::to_string(&run).map_err(|error| invalid(out, error))?;
        files::write(out, &(text + "\n"), Readers::Owner)?;
    }
    // The file above knows its parts, so that others can still be added.
    run.tell_missing();
    let why = run.broke_off.then(|| run.why_broken().to_owned());
    warn_of_twice(run.cases.iter().map(|case| case.name.as_str()));
    reports.write(&run)?;
    let runs = if count == 1 { "run" } else { "runs" };
    let written = match out.is_some() || reports.is_any() {
        true => "",
        false => "nothing was written; --html, --junit, --markdown, --trace and --out name files\n",
    };
    let text = format!("{count} {runs}, {}\n{written}", run.summary());
    ended(text, why, |answer| answer.fields(&run_value(&run)))
}

fn merge_junit(files: Vec<JunitReport>, path: Option<&str>) -> Result<Output, Failed> {
    let count = files.len();
    let (all, why) = JunitReport::merged(files);
    let names = all.names();
    warn_of_twice(names.iter().map(String::as_str));
    let counts = all.counts();
    if let Some(path) = path.map(Path::new) {
        let xml = all
            .write()
            .map_err(|why| invalid(path, with_causes(&why)))?;
        files::write(path, &xml, Readers::Usual)?;
    }
    let files = if count == 1 { "file" } else { "files" };
    let written = match path {
        Some(_) => "",
        None => "nothing was written; --junit names a file\n",
    };
    let text = format!(
        "{count} {files}, {}\n{written}",
        came_to(counts.passed, counts.failed, counts.skipped)
    );
    ended(text, why, |answer| {
        answer
            .field("total", counts.all())
            .field("passed", counts.passed)
            .field("failed", counts.failed)
            .field("ignored", counts.skipped)
    })
}

/// Returns the answer, which is a failure if there is a reason why what was merged is no whole run.
fn ended(
    text: String,
    why: Option<String>,
    with_fields: impl Fn(Output) -> Output,
) -> Result<Output, Failed> {
    match why {
        None => Ok(with_fields(Output::fine(text))),
        Some(why) => Err(Failed::from(with_fields(Output::incomplete(
            text,
            "incomplete",
            &why,
        )))),
    }
}

/// Warns of parts that were not run by one command, and so may be parts of different runs.
fn warn_of_others(runs: &[RunReport]) {
    let parts = runs.iter().filter(|run| !run.shards.is_empty());
    let commands: BTreeSet<String> = parts.map(RunReport::command_of_all).collect();
    if commands.len() > 1 {
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        let line = format!(
            "warning: these parts may belong to different runs, of the commands: {}",
            commands.join("; ")
        );
        let _ = writeln!(std::io::stderr(), "{}", visible_line(&line));
    }
}

/// Warns of cases that are there more than once.
fn warn_of_twice<'a>(names: impl Iterator<Item = &'a str>) {
    let mut known = BTreeSet::new();
    let twice: BTreeSet<&str> = names.filter(|name| !known.insert(*name)).collect();
    for name in twice {
        let line = format!("warning: {name} is in several of these files, and is told for each");
        let _ = writeln!(std::io::stderr(), "{}", visible_line(&line));
    }
}
