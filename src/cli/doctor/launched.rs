//! The checks of an application that the doctor launches itself.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::clients::advice;
use super::seen::{Refused, Seen, SeenCall};
use super::{Check, Doctor, Health, propagation};
use crate::base::http::{Request, without_credentials};
use crate::cli::output::{Failed, arguments, interrupted};
use crate::control::Oracle;
use crate::disk::project_root;
use crate::launch::{Application, NotReady, SLOWEST_END, Surroundings};
use crate::proxy::ProxyBuilder;
use crate::runner::{Interrupts, for_launched, plan_of_flags};

/// How often to look for a signal while an answer is waited for.
const PAUSE: Duration = Duration::from_millis(20);
/// How many calls are named in a message.
const NAMED: usize = 5;

impl Doctor {
    /// Launches an application, sends it the probe, and ends it.
    pub(super) fn launched(&self, command: &str, probe: &Request) -> Result<Vec<Check>, Failed> {
        let plan = plan_of_flags("the command", command, self.app_url.as_deref(), &self.app)?;
        let seen = Arc::new(Seen::default());
        let oracle = Arc::clone(&seen) as Arc<dyn Oracle>;
        let listen = self.proxy_listen.as_deref().unwrap_or("127.0.0.1:0");
        let plan = Arc::new(plan);
        let proxy = ProxyBuilder::new(oracle).listen(listen);
        let proxy = for_launched(proxy, std::iter::once(&plan)).map_err(arguments)?;
        let proxy = proxy.start()?;
        let proxy_url = proxy.local_url();
        let interrupts = Interrupts::listen();
        let around = Surroundings {
            root: &project_root(),
            proxy: Some(&proxy_url),
            authority: proxy.authority(),
            shown_as: self.app.app_output.then(|| "app | ".to_owned()),
        };
        let application = match Application::launch(&plan, &around) {
            Ok(application) => application,
            Err(why) => return Ok(vec![check("starts", Health::Fault, why)]),
        };
        let mut checks = vec![check("starts", Health::Fine, format!("`{command}` runs"))];
        match application.wait_until_ready(&mut |_| interrupts.arrived.last()) {
            Err(NotReady::Signal(signal)) => return Err(interrupted(signal)),
            Err(NotReady::Failed(why)) => {
                checks.extend(starting(&seen));
                checks.push(check("listens", Health::Fault, why));
                return Ok(checks);
            }
            Ok(()) => {
                let url = without_credentials(application.url());
                checks.push(check("listens", Health::Fine, format!("at {url}")));
            }
        }
        checks.extend(starting(&seen));
        proxy.set_programs(application.programs());
        let Some(sent) = self.send_unless(application.url(), probe, &interrupts) else {
            return Err(interrupted(interrupts.arrived.last().unwrap_or_default()));
        };
        let (calls, refused) = (seen.take(), seen.take_refused());
        checks.push(self.answered(application.url(), &sent, &calls));
        let ended = match sent {
            Ok(_) => application.ended(),
            Err(_) => application.ends_within(SLOWEST_END),
        };
        if let Some(how) = ended {
            let why = format!("it ended by itself ({how}){}", application.last_words());
            checks.push(check("runs on", Health::Fault, why));
            return Ok(checks);
        }
        checks.push(match calls.len() {
            0 if !refused.is_empty() => check(
                "proxy",
                Health::Fine,
                "its calls come to the proxy".to_owned(),
            ),
            0 => check(
                "proxy",
                Health::Unclear,
                format!(
                    "no call came through the proxy: give a --probe that makes it call something; if it does, {}",
                    advice(&application.programs(), &proxy_url)
                ),
            ),
            1 => check("proxy", Health::Fine, "a call came through the proxy".to_owned()),
            n => check("proxy", Health::Fine, format!("{n} calls came through the proxy")),
        });
        checks.push(trust(&calls, &refused));
        if !calls.is_empty() {
            checks.push(propagation(&calls));
        }
        let has_ended = application.stop(Duration::MAX, &|| interrupts.arrived.count() > 0);
        if let Some(signal) = interrupts.arrived.last() {
            return Err(interrupted(signal));
        }
        checks.push(match has_ended {
            true => check("ends", Health::Fine, "with everything that it started".to_owned()),
            false => check(
                "ends",
                Health::Unclear,
                format!(
                    "it did not end within {} ms, and was killed; `app: {{stop: {{signal: …, graceMs: …}}}}` says how it ends",
                    plan.grace.as_millis()
                ),
            ),
        });
        Ok(checks)
    }

    /// Sends the probe; `None` if a signal arrives before the answer.
    fn send_unless(
        &self,
        url: &str,
        probe: &Request,
        interrupts: &Interrupts,
    ) -> Option<Result<u16, String>> {
        let (sender, answered) = mpsc::channel();
        let (own, url, probe) = (self.clone(), url.to_owned(), probe.clone());
        std::thread::spawn(move || sender.send(own.send(&url, &probe)));
        loop {
            match answered.recv_timeout(PAUSE) {
                Ok(sent) => return Some(sent),
                Err(RecvTimeoutError::Timeout) if interrupts.arrived.last().is_none() => {}
                Err(_) => return None,
            }
        }
    }
}

/// Tells whether the application's clients trust the authority of a run.
fn trust(calls: &[SeenCall], refused: &[Refused]) -> Check {
    let name = "trust";
    if !refused.is_empty() {
        let mut told: Vec<String> = Vec::new();
        for Refused { call, why } in refused {
            let line = format!("{call}: {why}");
            if !told.contains(&line) && told.len() < NAMED {
                told.push(line);
            }
        }
        // Who is unsure and trusts elsewhere may have given a call up.
        let is_sure = refused.iter().any(|call| !call.why.contains("(likely: "));
        let trusts = calls.iter().any(|call| call.over_tls);
        let verdict = match is_sure || !trusts {
            true => Health::Fault,
            false => Health::Unclear,
        };
        return check(name, verdict, told.join("; "));
    }
    match calls.iter().filter(|call| call.over_tls).count() {
        0 => check(
            name,
            Health::Unclear,
            "no call over TLS came, so it is not known whether its clients trust the run's authority".to_owned(),
        ),
        1 => check(name, Health::Fine, "a call over TLS was read".to_owned()),
        n => check(name, Health::Fine, format!("{n} calls over TLS were read")),
    }
}

fn check(name: &'static str, verdict: Health, message: String) -> Check {
    Check {
        name,
        verdict,
        message,
    }
}

/// Tells of the calls that the application made before it was ready.
fn starting(seen: &Seen) -> Option<Check> {
    let calls = seen.take();
    if calls.is_empty() {
        return None;
    }
    let mut named: Vec<&str> = calls.iter().map(|call| call.call.as_str()).collect();
    named.dedup();
    let more = match named.len() > NAMED {
        true => ", …",
        false => "",
    };
    named.truncate(NAMED);
    let message = format!(
        "while it started it called {}{more}, answered with 599: a suite answers such calls by `mocks: {{shared: …}}`, or lets \
         them out with --forward-idle",
        named.join(", ")
    );
    Some(check("start-up calls", Health::Unclear, message))
}
