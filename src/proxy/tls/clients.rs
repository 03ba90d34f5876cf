//! What to set for clients that do not trust the certificates.

/// A kind of client.
struct Client {
    /// What the names that it gives itself begin with, in lower case.
    agents: &'static [&'static str],
    /// What the names of programs that use it begin with.
    programs: &'static [&'static str],
    /// What to set for it.
    advice: &'static str,
}

const CLIENTS: [Client; 12] = [
    Client {
        agents: &["curl/"],
        programs: &["curl"],
        advice: "curl reads CURL_CA_BUNDLE or SSL_CERT_FILE",
    },
    Client {
        agents: &["wget/"],
        programs: &["wget"],
        advice: "wget reads `ca_certificate = FILE` in the file that WGETRC names",
    },
    Client {
        agents: &["git/"],
        programs: &["git"],
        advice: "git reads GIT_SSL_CAINFO",
    },
    Client {
        agents: &["grpc-"],
        programs: &[],
        advice: "gRPC's core reads GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, grpc-js NODE_EXTRA_CA_CERTS",
    },
    Client {
        agents: &["go-http-client"],
        programs: &["go"],
        advice: "Go reads SSL_CERT_FILE, unless the tls.Config has RootCAs of its own (docs/languages/go.md)",
    },
    Client {
        agents: &["java", "okhttp", "apache-httpclient"],
        programs: &["java"],
        advice: "Java reads -Djavax.net.ssl.trustStore in JAVA_TOOL_OPTIONS, unless the client has an SSLContext of its own \
                 (docs/languages/java.md)",
    },
    Client {
        agents: &["deno/"],
        programs: &["deno"],
        advice: "Deno reads DENO_CERT",
    },
    Client {
        agents: &["node", "undici", "bun/"],
        programs: &["node", "npm", "bun"],
        advice: "Node reads NODE_EXTRA_CA_CERTS when it starts, unless the client has a `ca` of its own \
                 (docs/languages/node.md)",
    },
    Client {
        agents: &["python-requests"],
        programs: &[],
        advice: "requests reads REQUESTS_CA_BUNDLE (docs/languages/python.md)",
    },
    Client {
        agents: &["python"],
        programs: &["python", "uvicorn", "gunicorn"],
        advice: "urllib, httpx and aiohttp read SSL_CERT_FILE, requests REQUESTS_CA_BUNDLE, gRPC \
                 GRPC_DEFAULT_SSL_ROOTS_FILE_PATH; a client with roots of its own has to add those in the file that SSL_CERT_FILE names \
                 (docs/languages/python.md)",
    },
    Client {
        agents: &["ruby"],
        programs: &["ruby", "puma", "rails"],
        advice: "Ruby reads SSL_CERT_FILE, unless the client has a ca_file of its own (docs/languages/ruby.md)",
    },
    Client {
        agents: &["php"],
        programs: &["php"],
        advice: "PHP reads openssl.cafile and curl.cainfo from an ini file in PHP_INI_SCAN_DIR (docs/languages/php.md)",
    },
];

/// Returns what to set for a client that calls itself this, in an application of these programs. Many clients say nothing of
/// themselves to a proxy.
pub(super) fn what_to_set(agent: &str, programs: &[String]) -> String {
    let agent = agent.to_ascii_lowercase();
    let begins = |text: &str, names: &[&str]| names.iter().any(|name| text.starts_with(name));
    let by_agent = CLIENTS
        .iter()
        .find(|client| !agent.is_empty() && begins(&agent, client.agents));
    if let Some(client) = by_agent {
        return client.advice.to_owned();
    }
    let used = |client: &&Client| {
        let mut programs = programs.iter();
        programs.any(|program| begins(&program.to_ascii_lowercase(), client.programs))
    };
    let by_program: Vec<&str> = CLIENTS
        .iter()
        .filter(used)
        .map(|known| known.advice)
        .collect();
    match by_program.as_slice() {
        [] => "most clients read SSL_CERT_FILE; one that has roots of its own needs them changed, or the reverse form \
               (docs/languages/other.md)"
            .to_owned(),
        all => all.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_own_name_or_by_the_program() {
        let programs = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        for (agent, running, wanted) in [
            ("curl/7.88.1", &["node"][..], "CURL_CA_BUNDLE"),
            ("Wget/1.21.3", &[], "WGETRC"),
            ("Go-http-client/1.1", &[], "SSL_CERT_FILE"),
            ("Java-http-client/17", &[], "trustStore"),
            ("", &["sh", "node"], "NODE_EXTRA_CA_CERTS"),
            ("", &["python3.11"], "REQUESTS_CA_BUNDLE"),
            ("", &["ruby3.1"], "Ruby reads SSL_CERT_FILE"),
            ("", &["php8.2"], "openssl.cafile"),
            ("mine/1", &["mine"], "most clients read SSL_CERT_FILE"),
        ] {
            let told = what_to_set(agent, &programs(running));
            assert!(told.contains(wanted), "{agent} {running:?}: {told}");
        }
    }
}
