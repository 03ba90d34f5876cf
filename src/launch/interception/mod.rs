//! What an application is given so that its HTTP clients call through the proxy: variables, and files that these name.

mod keystore;
mod trust;

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::http::split_url;
use crate::disk::{Readers, write_whole};
use crate::proxy::variables_of;

/// What makes an application's calls come to a proxy.
#[derive(Debug)]
pub(crate) struct Interception {
    /// The proxy's URL.
    proxy: String,
    /// The certificate of the authority to be trusted, as PEM, if the proxy reads TLS.
    authority: Option<String>,
    /// The folder of the files.
    folder: PathBuf,
}

/// The files, by their paths below the folder.
const FILES: [(&str, &str); 3] = [
    (NODE, include_str!("softprobe.cjs")),
    ("python/sitecustomize.py", include_str!("sitecustomize.py")),
    ("php/softprobe.php", include_str!("softprobe.php")),
];
const PHP_SETTINGS: &str = "auto_prepend_file = \"${SOFTPROBE_PHP}\"\n";
const NODE: &str = "node/softprobe.cjs";

/// The exporters of telemetry that are switched off unless they are set.
const EXPORTERS: [&str; 3] = [
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
];

impl Interception {
    /// Writes the files below a folder.
    ///
    /// # Errors
    ///
    /// Why one of them can't be written.
    pub(crate) fn new(proxy: &str, authority: Option<&str>, folder: &Path) -> io::Result<Self> {
        for (name, text) in FILES {
            write_whole(&folder.join(name), text, Readers::Owner)?;
        }
        Ok(Self {
            proxy: proxy.to_owned(),
            authority: authority.map(str::to_owned),
            folder: folder.to_owned(),
        })
    }

    /// Returns the variables for an application that is given these besides, and that runs in this folder. Where a variable
    /// of its own or an inherited one has to be kept, the value is added to it; any other of its own is left as it is.
    ///
    /// # Errors
    ///
    /// Why a file that a variable names can't be written.
    pub(crate) fn variables(
        &self,
        own: &[(OsString, OsString)],
        cwd: &Path,
    ) -> io::Result<Vec<(OsString, OsString)>> {
        let own = |name: &str| {
            let mut own = own.iter().rev();
            own.find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let before = |name: &str| {
            let before = own(name).or_else(|| std::env::var_os(name));
            before.filter(|value| !value.is_empty())
        };
        let folder = |name: &str| self.folder.join(name).into_os_string();
        let proxied = variables_of(&self.proxy).into_iter();
        let mut given: Vec<(OsString, OsString)> = proxied
            .chain([
                ("PERL_LWP_ENV_PROXY", "1".to_owned()),
                ("PYTHONUNBUFFERED", "1".to_owned()),
                (
                    "SOFTPROBE_PHP",
                    folder("php/softprobe.php").to_string_lossy().into_owned(),
                ),
            ])
            .filter(|(name, _)| own(name).is_none())
            .map(|(name, value)| {
                // Clients differ in the spelling that they read.
                let value = other_spelling(name).and_then(own).unwrap_or(value.into());
                (name.into(), value)
            })
            .collect();
        let mut java = java(&self.proxy);
        let mut php = PHP_SETTINGS.to_owned();
        if let Some(authority) = &self.authority {
            let files = trust::Files {
                folder: &self.folder,
                authority,
                before: &|name| Some(cwd.join(before(name)?).into_os_string()),
                system: OnceCell::new(),
            };
            let is_empty = |name: &str| own(name).is_some_and(|value| value.is_empty());
            let trusted = files.variables()?.into_iter();
            let trusted = trusted.filter(|(name, _)| !is_empty(name));
            given.extend(trusted.map(|(name, file)| (name.into(), file.into())));
            let bundle = files.system_bundle()?;
            let bundle = bundle.display();
            php.push_str(&format!(
                "openssl.cafile = \"{bundle}\"\ncurl.cainfo = \"{bundle}\"\n"
            ));
            let keystore = files.java()?.display().to_string();
            // The variable can't hold a path with a space.
            if !keystore.contains(char::is_whitespace) {
                // Those of a trust store that is named already would be taken for this one.
                java.push_str(&format!(
                    " -Djavax.net.ssl.trustStore={keystore} -Djavax.net.ssl.trustStoreType=JKS \
                     -Djavax.net.ssl.trustStorePassword={}",
                    keystore::PASSWORD
                ));
                let inherited = std::env::var("JAVA_TOOL_OPTIONS").unwrap_or_default();
                if inherited.contains("javax.net.ssl.trustStore=") && !inherited.contains(&keystore)
                {
                    log::warn!(
                        "JAVA_TOOL_OPTIONS names a trust store, which that of the run takes the place of; hosts that need \
                         it belong into `upstreamCa`"
                    );
                }
            }
        }
        write_whole(&self.folder.join("php/softprobe.ini"), php, Readers::Owner)?;
        let preload = option_word(&self.folder.join(NODE).to_string_lossy());
        for (name, separator, value) in [
            ("NODE_OPTIONS", " ", format!("--require {preload}").into()),
            ("JAVA_TOOL_OPTIONS", " ", java.into()),
            ("PYTHONPATH", ":", folder("python")),
            ("PHP_INI_SCAN_DIR", ":", folder("php")),
        ] {
            // With nothing before the separator, PHP looks in its own folder first.
            let keeps_default = name == "PHP_INI_SCAN_DIR";
            if own(name).is_some_and(|value| value.is_empty()) {
                continue;
            }
            // What the suite gives on purpose beats ours, and ours what happens to be in the environment; of Java's options, the
            // last one counts. Of Python's folders it is the first one, whose `sitecustomize` runs the next.
            let comes_first = match name {
                "JAVA_TOOL_OPTIONS" => own(name).is_some(),
                name => name == "PYTHONPATH",
            };
            let value = match before(name) {
                // An environment that `softprobe env` prepared has it already.
                Some(before) if holds(&before, &value) => before,
                Some(before) if comes_first => joined(&value, separator, &before),
                Some(before) => joined(&before, separator, &value),
                None if keeps_default => joined(OsStr::new(""), separator, &value),
                None => value,
            };
            given.push((name.into(), value));
        }
        let is_off = |name: &&&str| before(name).is_none_or(|value| value == "none");
        let exporters = EXPORTERS.iter().filter(is_off);
        given.extend(exporters.map(|name| (OsString::from(name), OsString::from("none"))));
        Ok(given)
    }
}

/// Returns the variables that make a command trust an authority, of which this is the certificate as PEM. Writes the files
/// that they name into a folder.
///
/// # Errors
///
/// Why one of them can't be written.
pub(crate) fn trust_variables(
    authority: &str,
    folder: &Path,
) -> io::Result<Vec<(&'static str, PathBuf)>> {
    let before = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let files = trust::Files {
        folder,
        authority,
        before: &before,
        system: OnceCell::new(),
    };
    files.variables()
}

/// Returns the other spelling of a proxy variable.
fn other_spelling(name: &str) -> Option<&'static str> {
    const SPELLINGS: [(&str, &str); 3] = [
        ("HTTP_PROXY", "http_proxy"),
        ("HTTPS_PROXY", "https_proxy"),
        ("NO_PROXY", "no_proxy"),
    ];
    SPELLINGS.iter().find_map(|(upper, lower)| match name {
        name if name == *upper => Some(*lower),
        name if name == *lower => Some(*upper),
        _ => None,
    })
}

fn holds(before: &OsStr, value: &OsStr) -> bool {
    before.to_string_lossy().contains(&*value.to_string_lossy())
}

fn joined(before: &OsStr, separator: &str, value: &OsStr) -> OsString {
    let mut joined = before.to_owned();
    joined.push(separator);
    joined.push(value);
    joined
}

/// Returns a word as `NODE_OPTIONS` quotes it.
fn option_word(word: &str) -> String {
    match word.contains([' ', '"', '\\']) {
        true => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
        false => word.to_owned(),
    }
}

/// Returns the options that send Java's own clients through a proxy, calls to loopback included.
fn java(proxy: &str) -> String {
    let authority = split_url(proxy).map_or(proxy, |(_, authority, _)| authority);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    format!(
        "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} \
         -Dhttp.nonProxyHosts="
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(own: &[(&str, &str)]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let interception = Interception::new("http://127.0.0.1:4100", None, folder.path()).unwrap();
        let own: Vec<(OsString, OsString)> = own
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let shown = |text: OsString| {
            let text = text.into_string().unwrap();
            text.replace(folder.path().to_str().unwrap(), "DIR")
        };
        let given = interception.variables(&own, folder.path()).unwrap();
        given
            .into_iter()
            .map(|(name, value)| (shown(name), shown(value)))
            .collect()
    }

    #[track_caller]
    fn check(own: &[(&str, &str)], name: &str, wanted: Option<&str>) {
        let given = given(own);
        let value = given.iter().find(|(known, _)| known == name);
        assert_eq!(value.map(|(_, value)| value.as_str()), wanted, "{name}");
    }

    #[test]
    fn what_a_variable_holds_is_added_to() {
        check(
            &[("NODE_OPTIONS", "--max-old-space-size=99")],
            "NODE_OPTIONS",
            Some("--max-old-space-size=99 --require DIR/node/softprobe.cjs"),
        );
        check(
            &[("JAVA_TOOL_OPTIONS", "-Xmx99m")],
            "JAVA_TOOL_OPTIONS",
            Some(
                "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=4100 -Dhttps.proxyHost=127.0.0.1 \
                 -Dhttps.proxyPort=4100 -Dhttp.nonProxyHosts= -Xmx99m",
            ),
        );
        check(
            &[("PYTHONPATH", "lib")],
            "PYTHONPATH",
            Some("DIR/python:lib"),
        );
        check(
            &[("PHP_INI_SCAN_DIR", "/etc/x")],
            "PHP_INI_SCAN_DIR",
            Some("/etc/x:DIR/php"),
        );
        check(&[], "PHP_INI_SCAN_DIR", Some(":DIR/php"));
    }

    #[test]
    fn what_the_application_is_given_on_purpose_stays() {
        check(&[], "NO_PROXY", Some(""));
        check(&[("NO_PROXY", "db.internal")], "NO_PROXY", None);
        check(
            &[("NO_PROXY", "db.internal")],
            "no_proxy",
            Some("db.internal"),
        );
        check(
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            "OTEL_TRACES_EXPORTER",
            None,
        );
        check(
            &[("OTEL_TRACES_EXPORTER", "otlp")],
            "OTEL_LOGS_EXPORTER",
            Some("none"),
        );
    }

    #[test]
    fn what_is_trusted_already_stays_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let project = tempfile::tempdir().unwrap();
        let (file, more) = (
            project.path().join("own.pem"),
            project.path().join("more.pem"),
        );
        std::fs::write(&file, "OWN").unwrap();
        std::fs::write(&more, "MORE\n").unwrap();
        std::fs::write(
            project.path().join("wgetrc"),
            "timeout = 3\nca-certificate = own.pem\n",
        )
        .unwrap();
        let interception =
            Interception::new("http://127.0.0.1:4100", Some("OURS\n"), folder.path()).unwrap();
        let own = [
            ("SSL_CERT_FILE", "own.pem"),
            ("NODE_EXTRA_CA_CERTS", more.to_str().unwrap()),
            ("WGETRC", "wgetrc"),
            ("PIP_CERT", ""),
        ];
        let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let given = interception.variables(&own, project.path()).unwrap();
        let read = |name: &str| {
            let (_, value) = given.iter().find(|(known, _)| known == name)?;
            Some(std::fs::read_to_string(value).unwrap())
        };
        // A path is relative to where the application runs.
        assert_eq!(read("SSL_CERT_FILE").unwrap(), "OWN\nOURS\n");
        assert_eq!(read("NODE_EXTRA_CA_CERTS").unwrap(), "MORE\nOURS\n");
        let wgetrc = read("WGETRC").unwrap();
        assert!(wgetrc.starts_with("timeout = 3\n"), "{wgetrc}");
        let last = wgetrc.trim().rsplit(" = ").next().unwrap();
        assert!(
            std::fs::read_to_string(last).unwrap().ends_with("OURS\n"),
            "{last}"
        );
        assert!(read("PIP_CERT").is_none());
        // Prepared once more, nothing is there twice.
        let again = interception.variables(&given, project.path()).unwrap();
        let (_, file) = again
            .iter()
            .find(|(name, _)| name == "SSL_CERT_FILE")
            .unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "OWN\nOURS\n");
    }

    #[test]
    fn an_empty_value_is_left_empty() {
        for name in [
            "NODE_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "PYTHONPATH",
            "PHP_INI_SCAN_DIR",
        ] {
            check(&[(name, "")], name, None);
        }
    }

    #[test]
    fn a_path_with_a_space_is_quoted_for_node() {
        assert_eq!(option_word("/tmp/a b/\"c"), r#""/tmp/a b/\"c""#);
        assert_eq!(option_word("/tmp/ab"), "/tmp/ab");
    }

    #[test]
    fn a_proxy_at_an_ipv6_address_is_one_for_java_too() {
        assert!(
            java("http://[::1]:4100").starts_with("-Dhttp.proxyHost=::1 -Dhttp.proxyPort=4100 ")
        );
    }
}
