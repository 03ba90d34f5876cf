//! `env`: prints what makes the calls of an application that is started by hand come to the proxy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::DEFAULT_PROXY;
use super::output::{Failed, Output, failure, invalid};
use crate::base::encoding::shell_word;
use crate::base::unless_blank;
use crate::disk::make_private;
use crate::launch::Interception;
use crate::net::address;
use crate::runner::CaFlag;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  $ (eval \"$(softprobe env)\"; node server.js)\n\n\
Values that exist, such as NODE_OPTIONS and PYTHONPATH, are added to.")]
pub(super) struct Env {
    /// Address of the proxy
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN", default_value = DEFAULT_PROXY, value_parser = address)]
    proxy_listen: String,
    /// Folder for the files that the variables name; ~/.cache/softprobe by default
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    #[command(flatten)]
    ca: CaFlag,
    /// Print lines for a shell's eval; this is the default
    #[arg(long, conflicts_with = "dotenv")]
    shell: bool,
    /// Print NAME=value lines, for --env-file of other programs
    #[arg(long)]
    dotenv: bool,
}

impl Env {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let proxy = unless_blank(Some(self.proxy_listen));
        let proxy = proxy.unwrap_or_else(|| DEFAULT_PROXY.to_owned());
        let folder = match self.files {
            Some(folder) => std::path::absolute(&folder).map_err(|e| invalid(&folder, e))?,
            None => default_folder()?,
        };
        let authority = self.ca.authority();
        let authority = authority.map_err(|(file, why)| invalid(&file, why))?;
        let written = make_private(&folder).and_then(|()| {
            let proxy = format!("http://{proxy}");
            let authority = authority.as_ref().map(|authority| authority.certificate());
            let interception = Interception::new(&proxy, authority, &folder)?;
            interception.variables(&[], Path::new("."))
        });
        let given = written
            .map_err(|error| failure("failure", format!("{}: {error}", folder.display())))?;
        let mut variables: Vec<(String, String)> = Vec::new();
        for (name, value) in given {
            let text = |text: OsString| text.to_string_lossy().into_owned();
            variables.push((text(name), text(value)));
        }
        let shown: String = variables
            .iter()
            .map(|(name, value)| match self.dotenv {
                true => format!("{name}={value}\n"),
                false => format!("export {name}={}\n", shell_word(value)),
            })
            .collect();
        let values = variables.into_iter();
        let values: Map<String, Value> = values.map(|(name, value)| (name, value.into())).collect();
        Ok(Output::fine(shown).field("variables", values))
    }
}

/// Returns the folder of the user's caches for this version.
fn default_folder() -> Result<PathBuf, Failed> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let caches = given("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| Some(PathBuf::from(given("HOME")?).join(".cache")));
    let caches =
        caches.ok_or_else(|| failure("failure", "there is no HOME; give a folder with --files"))?;
    Ok(caches.join("softprobe").join(env!("CARGO_PKG_VERSION")))
}
