//! `review`: goes through the differences that wait for a decision, one at a time, on a terminal.

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use super::files;
use super::output::{Exit, Failed, Output, arguments, failure};
use crate::accept::{Accepted, Ignorable, Pending, Undecided, changed};
use crate::base::{visible, visible_line, with_causes};
use crate::case::Case;
use crate::disk::{PENDING, Readers, lock, relative, write_whole};
use crate::report::note;
use crate::runner::{on_ci, read_pending, secrets, write_pending};
use crate::suite::{Setting, with_settings};

/// The longest value that is shown whole, in characters.
const LONGEST_VALUE: usize = 2_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What a case found is kept by --bless=pending:\n\
  $ softprobe suite run suites/first.suite.yaml --bless=pending\n\
  $ softprobe review\n\
The decisions about a case are carried out when its last difference is decided, or at `q`.")]
pub(super) struct Review {
    /// Files (*.pending.json) or globs; without any, those below the working directory
    #[arg(value_name = "FILE")]
    files: Vec<String>,
}

/// What a person decides about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Accept,
    Reject,
    Ignore,
    Later,
}

/// How many differences were decided, and how.
#[derive(Debug, Default)]
struct Count {
    accepted: usize,
    rejected: usize,
    ignored: usize,
    left: usize,
}

impl Review {
    pub(super) fn run(self, as_json: bool) -> Result<Output, Failed> {
        if on_ci() {
            return Err(arguments(
                "review is refused where the variable CI is set: what a case file is to say is for a person to decide",
            ));
        }
        if as_json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(arguments(
                "review asks a person, so it needs a terminal and takes no --json; --bless=all accepts without asking",
            ));
        }
        let files = match self.files.is_empty() {
            true => {
                files::find_one(&format!("**/*{PENDING}")).map_or_else(|_| Vec::new(), |f| f.files)
            }
            false => files::find(&self.files)?,
        };
        if files.is_empty() {
            return Ok(Output::fine(
                "nothing waits for a decision; --bless=pending keeps what a run finds\n",
            ));
        }
        let mut desk = Desk {
            input: io::stdin().lock(),
            out: io::stdout(),
            count: Count::default(),
            ends: false,
            faults: Vec::new(),
        };
        for file in files {
            desk.review(&file)
                .map_err(|error| failure("failure", format!("the terminal: {error}")))?;
        }
        let Count {
            accepted,
            rejected,
            ignored,
            left,
        } = desk.count;
        let told = format!(
            "{accepted} accepted, {rejected} rejected, {ignored} ignored from now on, {left} left\n"
        );
        match desk.faults.is_empty() {
            true => Ok(Output::fine(told)),
            false => Err(Failed::from(
                Output::all_failed(Exit::Failure, "failure", desk.faults).text(told),
            )),
        }
    }
}

/// Where a person is asked.
struct Desk<R, W> {
    input: R,
    out: W,
    count: Count,
    /// Whether nothing more is asked.
    ends: bool,
    faults: Vec<String>,
}

impl<R: BufRead, W: Write> Desk<R, W> {
    /// Goes through the differences of a file.
    fn review(&mut self, file: &Path) -> io::Result<()> {
        let pending = match read_pending(file) {
            Ok(Some(pending)) => pending,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.faults.push(why);
                return Ok(());
            }
        };
        let case = file.with_file_name(&pending.case);
        if let Err(why) = is_current(file, &case, &pending) {
            self.faults.push(why);
            return Ok(());
        }
        let all = pending.differences.len();
        let mut decided = Vec::new();
        for (n, one) in pending.differences.into_iter().enumerate() {
            let decision = match self.ends {
                true => Decision::Later,
                false => {
                    self.show(&case, &one, n + 1, all)?;
                    self.ask(&one)?
                }
            };
            match decision {
                Decision::Later => self.count.left += 1,
                decision => decided.push((one, decision)),
            }
        }
        match carry_out(file, &case, &decided) {
            Ok((lost, notes)) => {
                for note in notes {
                    writeln!(self.out, "warning: {}", visible_line(&note))?;
                }
                let count = |wanted| decided.iter().filter(|(_, own)| *own == wanted).count();
                self.count.accepted += count(Decision::Accept);
                self.count.rejected += count(Decision::Reject);
                self.count.ignored += count(Decision::Ignore);
                if lost > 0 {
                    self.count.left -= lost;
                    writeln!(
                        self.out,
                        "{lost} more are about elements of a list that moved; run with --bless=pending again"
                    )?;
                }
            }
            Err(why) => {
                self.count.left += decided.len();
                self.faults.push(why);
            }
        }
        Ok(())
    }

    fn show(&mut self, case: &Path, one: &Undecided, n: usize, all: usize) -> io::Result<()> {
        let heading = format!(
            "{} ({}): {n} of {all}, {} risk",
            relative(case).display(),
            one.trial,
            one.risk
        );
        writeln!(self.out, "\n{}", visible_line(&heading))?;
        if let Some(call) = &one.call {
            writeln!(self.out, "  {}", visible_line(call))?;
        }
        writeln!(self.out, "  {}", visible_line(&one.place))?;
        let side = |side: &Option<String>| match side {
            None => "nothing".to_owned(),
            Some(text) => {
                visible(&text.chars().take(LONGEST_VALUE).collect::<String>()).into_owned()
            }
        };
        writeln!(self.out, "    captured  {}", side(&one.expected))?;
        writeln!(self.out, "    now       {}", side(&one.actual))
    }

    fn ask(&mut self, one: &Undecided) -> io::Result<Decision> {
        let ignores = match one.ignorable() {
            Some(_) => "[i]gnore this place from now on, ",
            None => "",
        };
        loop {
            write!(self.out, "[a]ccept, [r]eject, {ignores}[s]kip, [q]uit? ")?;
            self.out.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                self.ends = true;
                writeln!(self.out)?;
                return Ok(Decision::Later);
            }
            return Ok(match (line.trim(), one.ignorable()) {
                ("a" | "accept", _) => Decision::Accept,
                ("r" | "reject", _) => Decision::Reject,
                ("i" | "ignore", Some(_)) => Decision::Ignore,
                ("s" | "skip", _) => Decision::Later,
                ("q" | "quit", _) => {
                    self.ends = true;
                    Decision::Later
                }
                _ => continue,
            });
        }
    }
}

/// Checks that the differences are those of the case as it is now; those that are not are removed.
fn is_current(file: &Path, case: &Path, pending: &Pending) -> Result<(), String> {
    let text = read(case)?;
    if pending.is_about(&text) {
        return Ok(());
    }
    write_pending(file, &Pending::new(&pending.case, &text))?;
    Err(format!(
        "{}: the case was changed since, so this was out of date and is removed; run with --bless=pending again",
        relative(file).display()
    ))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("{}: can't be read: {error}", relative(file).display()))
}

/// Carries out the decisions about a case, and returns how many other differences are lost by that, with what is to
/// be known of what was accepted.
fn carry_out(
    file: &Path,
    case: &Path,
    decided: &[(Undecided, Decision)],
) -> Result<(usize, Vec<String>), String> {
    if decided.is_empty() {
        return Ok((0, Vec::new()));
    }
    let failed = |error: io::Error| format!("{}: {error}", relative(case).display());
    let _lock = lock(case).map_err(failed)?;
    let text = read(case)?;
    let Some(mut pending) = read_pending(file)? else {
        return Err(format!("{}: it is gone", relative(file).display()));
    };
    is_current(file, case, &pending)?;
    let by = |wanted| {
        let decided = decided.iter().filter(move |(_, own)| *own == wanted);
        decided.map(|(one, _)| one)
    };
    let chosen: Vec<Undecided> = by(Decision::Accept).cloned().collect();
    let accepted: Option<Vec<Vec<Accepted>>> = chosen.iter().map(Undecided::accepted).collect();
    let accepted = accepted
        .ok_or_else(|| format!("{}: it is damaged; remove it", relative(file).display()))?;
    let places = chosen.iter().map(|one| one.place.clone());
    let notes = secrets(&accepted.iter().cloned().zip(places).collect::<Vec<_>>());
    let notes = notes.iter().map(note).collect();
    let accepted = accepted.concat();
    for one in by(Decision::Ignore) {
        ignore(one)?;
    }
    pending
        .differences
        .retain(|one| !decided.iter().any(|(known, _)| known == one));
    let mut lost = 0;
    if !accepted.is_empty() {
        let told = |why: String| format!("{}: {why}", relative(case).display());
        let read: Case = text.parse().map_err(|error| told(with_causes(&error)))?;
        let new = changed(&text, &read, &accepted).map_err(|error| told(with_causes(&error)))?;
        if let Some(new) = new {
            let still: Result<Case, _> = new.parse();
            still.map_err(|error| told(with_causes(&error)))?;
            write_whole(case, &new, Readers::Owner).map_err(failed)?;
            lost = pending.move_to(&new, &chosen);
        }
    }
    write_pending(file, &pending)?;
    Ok((lost, notes))
}

/// Has the suite leave a place out of the comparison.
fn ignore(one: &Undecided) -> Result<(), String> {
    let Some(ignorable) = one.ignorable() else {
        return Ok(());
    };
    let suite: &PathBuf = &one.suite;
    let told = |why: String| format!("{}: {why}", relative(suite).display());
    let _lock = lock(suite).map_err(|error| told(error.to_string()))?;
    let text = read(suite)?;
    let (part, name) = match &ignorable {
        Ignorable::Body(place) => ("body", place),
        Ignorable::Header(name) => ("headers", name),
        Ignorable::Query(name) => ("query", name),
    };
    let setting = Setting {
        is_sent: one.call.is_some(),
        path: [part, "ignore"],
        name,
        matcher: None,
    };
    let new = with_settings(&text, &[setting]).map_err(told)?;
    write_whole(suite, new, Readers::Usual).map_err(|error| told(error.to_string()))
}
