//! What to set for HTTP clients that do not use a proxy by themselves.

/// Returns what to set so that the calls of these programs come through the proxy.
pub(super) fn advice(programs: &[String], proxy: &str) -> String {
    let runs = |names: &[&str]| {
        let mut programs = programs.iter();
        programs.any(|program| names.iter().any(|name| program.starts_with(name)))
    };
    if runs(&["node", "npm", "bun", "deno"]) {
        return "an undici Agent, Pool or Client of its own has to be undici's EnvHttpProxyAgent; `node:http2` and plain sockets \
                use no proxy (docs/languages/node.md)"
            .to_owned();
    }
    if runs(&["java"]) {
        let authority = proxy.strip_prefix("http://").unwrap_or(proxy);
        return format!(
            "Reactor Netty and Spring's WebClient need HttpClient.create().proxyWithSystemProperties(), Apache's HttpClient \
             useSystemProperties(), and Micronaut MICRONAUT_HTTP_CLIENT_PROXY_TYPE=HTTP and \
             MICRONAUT_HTTP_CLIENT_PROXY_ADDRESS={authority} with --proxy-listen {authority} (docs/languages/java.md)"
        );
    }
    if runs(&["python", "uvicorn", "gunicorn"]) {
        return "http.client and urllib3.PoolManager use no proxy; requests, httpx, urllib.request and urllib3.ProxyManager do \
                (docs/languages/python.md)"
            .to_owned();
    }
    if runs(&["go"]) {
        return "Go sends no call to localhost, 127.0.0.1 or ::1 through a proxy: call a local dependency by a name such as \
                stock.localhost; a Transport of its own needs Proxy: http.ProxyFromEnvironment (docs/languages/go.md)"
            .to_owned();
    }
    if runs(&["ruby", "puma", "rails"]) {
        return "Net::HTTP sends no call to localhost or 127.0.0.1 through a proxy: call a local dependency by a name such as \
                stock.localhost (docs/languages/ruby.md)"
            .to_owned();
    }
    if runs(&["php"]) {
        return "a stream context of its own needs the default one's options; a router script of `php -S` has to require \
                getenv('SOFTPROBE_PHP') (docs/languages/php.md)"
            .to_owned();
    }
    format!(
        "its HTTP client has to use HTTP_PROXY, or call {proxy}/__softprobe/http/HOST/PATH instead of http://HOST/PATH \
         (docs/languages/other.md)"
    )
}
