//! `sample`: a service with captured requests that anyone can replay, written to a folder and replayed at once.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::output::{Failed, Output, failure, invalid};
use super::suite::run_suite;
use super::{Global, files};
use crate::base::encoding::shell_word;
use crate::disk::Readers;

/// The languages that the sample's service is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Python 3
    Python,
    /// Node 20 or later
    Node,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sample {
    /// Folder to write the sample to; it must be empty, or not there
    #[arg(value_name = "FOLDER", default_value = "softprobe-sample")]
    folder: PathBuf,
    /// Language of the service; without it, the first one that is installed here
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    language: Option<Language>,
}

/// The captured requests, under the names of their files.
const CASES: [(&str, &str); 2] = [
    (
        "get-items-12.case.json",
        include_str!("../../examples/recording/cases/get-items-12.case.json"),
    ),
    (
        "get-items-7.case.json",
        include_str!("../../examples/recording/cases/get-items-7.case.json"),
    ),
];

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node",
        }
    }

    /// Returns the program that runs the service.
    fn program(self) -> &'static str {
        match self {
            Self::Python => "python3",
            Self::Node => "node",
        }
    }

    /// Returns the service's file name and text.
    fn service(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => (
                "server.py",
                include_str!("../../examples/recording/server.py"),
            ),
            Self::Node => (
                "server.mjs",
                include_str!("../../examples/recording/server.mjs"),
            ),
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Python => include_str!("../../examples/recording/python.suite.yaml"),
            Self::Node => include_str!("../../examples/recording/node.suite.yaml"),
        }
    }

    fn is_installed(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(self.program()).is_file())
    }
}

impl Sample {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        let Self { folder, language } = self;
        let language = language.map_or_else(installed, Ok)?;
        // What begins with a dash would be a flag in the commands that are told.
        let folder = match folder.as_os_str().as_encoded_bytes() {
            [b'-', ..] => Path::new(".").join(folder),
            _ => folder,
        };
        check_empty(&folder)?;
        let (name, service) = language.service();
        files::write(&folder.join(name), service, Readers::Usual)?;
        for (name, case) in CASES {
            files::write(&folder.join("cases").join(name), case, Readers::Usual)?;
        }
        let suite = folder.join("sample.suite.yaml");
        files::write(&suite, language.suite(), Readers::Usual)?;
        let answer = run_suite(&suite, global)?;
        let (folder, suite) = (folder.display().to_string(), suite.display().to_string());
        let told = told(&folder, &suite, language);
        Ok(answer.text(told).field("folder", folder))
    }
}

/// Tells what was replayed, and what to do with it next.
fn told(folder: &str, suite: &str, language: Language) -> String {
    let suite = shell_word(suite);
    format!(
        "{folder} holds a service in {}, two captured requests to it, and a suite. The service calls\n\
         https://stock.example and https://prices.example, which do not exist: the captures answered.\n\
         Break the service to see a failure, and replay it as it is:\n\n  \
         softprobe suite run {suite} --app-env DEFECT=1\n  \
         softprobe suite run {suite}\n\n",
        language.name(),
    )
}

fn installed() -> Result<Language, Failed> {
    let all = Language::value_variants();
    let found = all.iter().find(|language| language.is_installed());
    found.copied().ok_or_else(|| {
        failure(
            "no_language",
            "the sample's service needs python3 or node, and neither is in PATH; install one of them, or replay a service of \
             your own: softprobe record --help",
        )
    })
}

/// Checks that nothing of the user's is in the folder.
fn check_empty(folder: &Path) -> Result<(), Failed> {
    let mut entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(invalid(folder, format!("can't be read: {error}"))),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(invalid(
            folder,
            "is not empty; name another folder: softprobe sample FOLDER",
        )),
    }
}
