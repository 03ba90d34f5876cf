//! `import`: makes cases of what other tools keep of HTTP traffic.

mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files;
use super::first::{Written, check_suite, first_cases, suite_name, write_suite};
use super::output::{Exit, Failed, Output, arguments, invalid};
use super::recorded::{WritingFlags, cases_of};
use crate::base::http::{Host, Request, Response, SESSION_HEADER, without_credentials};
use crate::case::Without;
use crate::import::{Entry, Item, Variables, read_curl, read_environment, read_har, read_postman};
use crate::net::{Client, Timeouts};
use crate::recorder::{Imported, Importer, Summary};
use crate::runner::Progress;
use crate::suite::{Calls, FirstSuite, Masked, is_base_url, request_url};
use told::told;

/// How long an answer may take.
const SLOWEST_ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Import {
    /// Import HTTP archives, as browsers, mitmproxy and Charles write them
    #[command(after_help = HAR_HELP)]
    Har(Flags),
    /// Import files of curl's command lines, as documentation has them and browsers copy them
    #[command(after_help = CURL_HELP)]
    Curl(Flags),
    /// Import collections of Postman, version 2.1, with their saved answers
    #[command(after_help = POSTMAN_HELP)]
    Postman(Postman),
}

const HAR_HELP: &str = "\
  $ softprobe import har session.har --host api.shop.example --out cases --suite suites/imported.suite.yaml\n\
  $ softprobe suite run suites/imported.suite.yaml -- node server.js\n\n\
An archive holds requests and their answers, but not what the application called meanwhile: softprobe capture run records\n\
that as well.";

const CURL_HELP: &str = "\
  $ softprobe import curl requests.sh --send http://127.0.0.1:3000 --out cases --suite suites/imported.suite.yaml\n\n\
A command line has no answer: --send gets one from the application that runs at that URL.";

const POSTMAN_HELP: &str = "\
  $ softprobe import postman shop.postman_collection.json --variable base=http://127.0.0.1:3000 --out cases\n\n\
Each saved answer of a request is a case. A request without one is sent to the application at --send.";

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Files or globs; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Folder for the cases, one file each
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The application's host: requests to others are left out; needed if there are several. Without a port, each port fits
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Send requests without an answer to the application at this URL, and keep its answers
    #[arg(long, value_name = "URL")]
    send: Option<String>,
    /// Write a suite for the cases, or add them to one that stands
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    #[command(flatten)]
    writing: WritingFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct Postman {
    #[command(flatten)]
    flags: Flags,
    /// Value of a variable, before any other: --variable base=http://127.0.0.1:3000
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    variable: Vec<(String, String)>,
    /// Environment that Postman exported, whose values come before those of the collection
    #[arg(long, value_name = "FILE")]
    environment: Vec<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

impl Import {
    pub(super) fn run(self) -> Result<Output, Failed> {
        match self {
            Self::Har(flags) => flags.run(read_har),
            Self::Curl(flags) => {
                let file = |name: &str| std::fs::read(name).map_err(|error| error.to_string());
                flags.run(|text| read_curl(text, &file))
            }
            Self::Postman(Postman {
                flags,
                variable,
                environment,
            }) => {
                let mut variables = Variables::new();
                for path in &environment {
                    let read = read_environment(&files::read_text(path)?);
                    variables.extend(read.map_err(|why| invalid(path, why.join("; ")))?);
                }
                variables.extend(variable);
                flags.run(|text| read_postman(text, &variables))
            }
        }
    }
}

impl Flags {
    fn run(self, read: impl Fn(&str) -> Result<Vec<Item>, Vec<String>>) -> Result<Output, Failed> {
        let name = suite_name(None, self.suite.as_deref())?;
        if let Some(url) = &self.send
            && !is_base_url(url)
        {
            return Err(arguments(format!(
                "--send: `{}` is not a base URL such as http://127.0.0.1:3000",
                without_credentials(url)
            )));
        }
        self.suite.as_deref().map(check_suite).transpose()?;
        let items = read_files(&self.files, read)?;
        self.check_hosts(&items)?;
        let destination = self.writing.destination(self.out.clone())?;
        let importer = Importer::new(destination).map_err(|(path, why)| invalid(&path, why))?;
        let (summary, masked) = self.import(importer, items);
        let suite = self.suite.as_deref().map(|file| {
            let written = write_imported(file, name, &summary, masked);
            (file, written.map_err(|failed| failed.messages().join("; ")))
        });
        Ok(told(&summary, suite))
    }

    /// Checks that it is clear whose requests are wanted.
    fn check_hosts(&self, items: &[(PathBuf, Item)]) -> Result<(), Failed> {
        let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, item) in items {
            if let Item::Exchange(entry) = item {
                *hosts
                    .entry(entry.request.host.to_ascii_lowercase())
                    .or_default() += 1;
            }
        }
        let wanted = |host: &String| self.host.iter().any(|wanted| Host::read(host).is(wanted));
        let is_clear = match self.host.is_empty() {
            true => hosts.len() <= 1,
            false => hosts.is_empty() || hosts.keys().any(wanted),
        };
        if is_clear {
            return Ok(());
        }
        let counts = hosts
            .iter()
            .map(|(host, count)| format!("{host} ({count})"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        Err(arguments(match self.host.is_empty() {
            true => {
                format!("the requests went to several hosts; --host says whose to import: {counts}")
            }
            false => format!("--host: no request went to it; there are requests to {counts}"),
        }))
    }

    /// Writes what is wanted.
    fn import(&self, mut importer: Importer, items: Vec<(PathBuf, Item)>) -> (Summary, Masked) {
        let client = Client::to_application(Timeouts::Whole(SLOWEST_ANSWER), &[]);
        let (mut progress, start) = (Progress::new(), Instant::now());
        let total = items.len();
        for (n, (file, item)) in items.into_iter().enumerate() {
            progress.line(start.elapsed(), |seconds| {
                format!("importing: {n} of {total} ({seconds} s)")
            });
            let entry = match item {
                Item::Exchange(entry) => *entry,
                Item::Other(what, why) => {
                    importer.leave(what, why);
                    continue;
                }
            };
            let host = Host::read(&entry.request.host);
            if !self.host.is_empty() && !self.host.iter().any(|wanted| host.is(wanted)) {
                let why = "--host names another";
                importer.leave(format!("requests to {}", entry.request.host), why);
                continue;
            }
            self.import_entry(&mut importer, &client, &file, &entry);
        }
        importer.finish()
    }

    fn import_entry(&self, importer: &mut Importer, client: &Client, file: &Path, entry: &Entry) {
        let Entry {
            place,
            request,
            answer,
            times_ns,
            unusable_request,
            unusable_answer,
            note,
        } = entry;
        if let Some(note) = note {
            importer.note(request, note);
        }
        let place = format!("{}: {place}", file.display());
        let mut unusable_answer = unusable_answer.as_deref();
        let sent;
        let response = match (answer, &self.send) {
            (Ok(answer), None) => answer,
            (Ok(answer), Some(_)) if unusable_answer.is_none() => answer,
            (_, Some(base)) if unusable_request.is_none() => match send(client, base, request) {
                Ok(answer) => {
                    unusable_answer = None;
                    sent = answer;
                    &sent
                }
                Err(why) => {
                    importer.lose(
                        request,
                        format!("{place}: sent to --send, it got no answer: {why}"),
                    );
                    return;
                }
            },
            (Ok(answer), Some(_)) => answer,
            (Err(why), Some(_)) => {
                let request_why = unusable_request.as_deref().unwrap_or_default();
                importer.lose(
                    request,
                    format!("{place}: {why}, and it can't be sent: {request_why}"),
                );
                return;
            }
            (Err(why), None) => {
                let why = format!("{place}: {why}; --send URL sends it to the application");
                importer.lose(request, why);
                return;
            }
        };
        importer.write(&Imported {
            request,
            response,
            times_ns: *times_ns,
            without: Without {
                request_body: unusable_request.is_some(),
                response_body: unusable_answer.is_some(),
            },
            unusable: unusable_request.as_deref().or(unusable_answer),
        });
    }
}

/// Reads files, or reports every fault in them.
fn read_files(
    patterns: &[String],
    read: impl Fn(&str) -> Result<Vec<Item>, Vec<String>>,
) -> Result<Vec<(PathBuf, Item)>, Failed> {
    let mut paths = Vec::new();
    for pattern in patterns {
        match pattern.as_str() {
            "-" => paths.push(PathBuf::from("-")),
            // In the order in which they are given, for what was recorded first.
            pattern => paths.extend(files::find_one(pattern)?.files),
        }
    }
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match read(&files::read_text(&path)?) {
            Ok(found) => items.extend(found.into_iter().map(|item| (path.clone(), item))),
            Err(why) => {
                let shown = path.display();
                faults.extend(why.iter().map(|why| format!("{shown}: {why}")));
            }
        }
    }
    if faults.is_empty() {
        return Ok(items);
    }
    let answer = Output::all_failed(Exit::InvalidInput, "invalid_input", faults);
    Err(Failed::from(answer))
}

/// Sends a request to an application, and returns its answer.
fn send(client: &Client, base: &str, request: &Request) -> Result<Response, String> {
    let url = request_url(base, request);
    let mut headers = request.headers.clone();
    headers.remove(SESSION_HEADER);
    client.exchange(
        &request.method,
        &headers,
        request.body.clone(),
        &url,
        SLOWEST_ANSWER,
    )
}

/// Writes the suite for what was imported; returns `None` if there is nothing for one.
fn write_imported(
    file: &Path,
    name: String,
    summary: &Summary,
    masked: Masked,
) -> Result<Option<Written>, Failed> {
    let cases = cases_of(summary)?;
    if cases.is_empty() {
        return Ok(None);
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let suite = FirstSuite {
        name,
        // In the order of the archive.
        cases: first_cases(folder, &cases),
        masked,
        host: summary.host.clone(),
        calls: Calls::of(cases.iter().map(|(_, case)| case)),
        ..FirstSuite::default()
    };
    write_suite(file, &suite).map(Some)
}
