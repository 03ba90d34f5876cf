//! Decides how the application of each case is reached.

use std::collections::HashMap;
use std::io::{Write as _, stderr};
use std::sync::Arc;

use super::apps::Launch;
use super::args::{AppFlags, Args};
use super::discover::Trial;
use super::refusal::Refusal;
use crate::base::http::without_credentials;
use crate::suite::{AppPlan, PORT, PortText, Ready, WAYS, is_base_url, is_path, split_command};

/// What code says about the application, if no flag does.
#[derive(Debug, Default)]
pub(super) struct AppInCode {
    /// A command that launches it.
    pub(super) command: Option<String>,
    /// The URL of one that runs already.
    pub(super) url: Option<String>,
    /// Whether a closure starts it.
    pub(super) starts: bool,
}

/// How the applications of a run come to be.
#[derive(Debug, Default)]
pub(super) struct AppPlans {
    /// Those to launch, each once.
    pub(super) launches: Vec<Launch>,
    /// The URL of the application of the other cases.
    pub(super) url: Option<String>,
    /// Whether a closure starts the application of the other cases.
    pub(super) starts: bool,
}

/// Decides how the application of each of these trials is reached, and gives the trials that share one the same plan.
pub(super) fn plan_apps<'t>(
    args: &Args,
    code: &AppInCode,
    trials: impl Iterator<Item = &'t mut Trial>,
) -> Result<AppPlans, Refusal> {
    let flags = &args.flags;
    let command = |flag: &str, text: &Option<String>| {
        let command = text.as_deref().map(split_command).transpose();
        command.map_err(|why| Refusal::arguments(format!("{flag}: {why}")))
    };
    let given = command("--app-command", &flags.app_command)?;
    let in_code = command("Replay::app_command", &code.command)?;
    let running = flags.app_url.clone().filter(|_| given.is_none());
    let mut plans = AppPlans::default();
    let (mut needs_other, mut not_launched) = (false, None);
    for trial in trials {
        let own = trial.app.as_deref();
        let plan = match (&running, &given, own, &in_code) {
            (Some(_), ..) => {
                not_launched = not_launched.or(own.map(|_| Arc::clone(&trial.suite)));
                needs_other = true;
                continue;
            }
            (None, Some(command), own, _) => {
                let mut plan = own
                    .cloned()
                    .unwrap_or_else(|| AppPlan::of_command(Vec::new()));
                plan.command.clone_from(command);
                plan.url = match &flags.app_url {
                    Some(url) => Some(PortText::new(url)),
                    None => plan.url,
                };
                plan
            }
            (None, None, Some(own), _) => own.clone(),
            (None, None, None, Some(command)) if !code.starts => {
                AppPlan::of_command(command.clone())
            }
            _ => {
                needs_other = true;
                continue;
            }
        };
        let plan = with_flags(plan, &flags.app)?;
        let known = plans.launches.iter().position(|known| *known.plan == plan);
        let known = known.unwrap_or_else(|| {
            plans.launches.push(Launch {
                plan: Arc::new(plan),
                suites: Vec::new(),
            });
            plans.launches.len() - 1
        });
        let launch = &mut plans.launches[known];
        if !launch.suites.contains(&trial.suite) {
            launch.suites.push(Arc::clone(&trial.suite));
        }
        trial.app = Some(Arc::clone(&launch.plan));
    }
    refuse_one_port_for_two(&plans.launches)?;
    if let Some(suite) = not_launched
        && !args.silent
    {
        let _ = writeln!(
            stderr(),
            "softprobe: the `app` of {suite} is not launched, since --app-url or APP_URL names one that runs"
        );
    }
    if let (true, Some(flag)) = (plans.launches.is_empty(), args.launch_flag) {
        return Err(Refusal::arguments(format!(
            "{flag} is for an application that is launched, and none is: give its command after `--`, with --app-command, or \
             as `app` in the suite"
        )));
    }
    let url = running.as_deref().or(code.url.as_deref());
    url.map(check_base_url).transpose()?;
    plans.starts = needs_other && running.is_none() && code.starts;
    plans.url = running.or_else(|| code.url.clone().filter(|_| !plans.starts));
    Ok(plans)
}

/// Checks the URL of an application.
pub(super) fn check_base_url(url: &str) -> Result<(), Refusal> {
    match is_base_url(url) {
        true => Ok(()),
        false => Err(Refusal::arguments(format!(
            "the application's URL `{}` is not a base URL such as `http://127.0.0.1:3000`",
            without_credentials(url)
        ))),
    }
}

/// Refuses applications that would have to listen at the same port.
fn refuse_one_port_for_two(launches: &[Launch]) -> Result<(), Refusal> {
    let mut known: HashMap<u16, &Launch> = HashMap::new();
    for launch in launches {
        let Some(port) = launch.plan.fixed_port() else {
            continue;
        };
        if let Some(other) = known.insert(port, launch) {
            return Err(Refusal::arguments(format!(
                "the applications of {} and of {} are different, but have one port, {port}; give one of them another, or \
                 `port: auto`",
                other.suites.join(", "),
                launch.suites.join(", ")
            )));
        }
    }
    Ok(())
}

/// Returns the plan of an application that flags alone describe.
pub(crate) fn plan_of_flags(
    flag: &str,
    command: &str,
    url: Option<&str>,
    flags: &AppFlags,
) -> Result<AppPlan, Refusal> {
    let command = split_command(command);
    let command = command.map_err(|why| Refusal::arguments(format!("{flag}: {why}")))?;
    let mut plan = AppPlan::of_command(command);
    plan.url = url.map(PortText::new);
    with_flags(plan, flags)
}

/// Returns a plan with what the flags say besides.
fn with_flags(mut plan: AppPlan, flags: &AppFlags) -> Result<AppPlan, Refusal> {
    let AppFlags {
        app_env,
        ready,
        intercept,
        app_output: _,
        upstreams,
    } = flags;
    for variable in app_env {
        let Some((name, value)) = variable
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
        else {
            return Err(Refusal::arguments(
                "--app-env: expected NAME=value".to_owned(),
            ));
        };
        if name == PORT {
            return Err(Refusal::arguments(
                "--app-env: the port is given as PORT; choose it with --app-url http://127.0.0.1:3000, or `port` in the suite's `app`"
                    .to_owned(),
            ));
        }
        plan.env.retain(|(known, _)| known != name);
        plan.env.push((name.to_owned(), PortText::new(value)));
    }
    if let Some(path) = ready {
        if !is_path(path) {
            return Err(Refusal::arguments(format!(
                "--ready: `{path}` is not a path such as /health"
            )));
        }
        plan.ready = Ready::Path(path.clone());
    }
    if let Some(way) = intercept {
        let known = WAYS.iter().find(|(name, _)| name == way);
        let Some((_, way)) = known else {
            let names = WAYS.map(|(name, _)| name).join(", ");
            return Err(Refusal::arguments(format!(
                "--intercept: `{way}` is not one of {names}"
            )));
        };
        plan.intercept = *way;
    }
    let more = upstreams.plan().map_err(Refusal::arguments)?;
    plan.upstreams.tunnels.extend(more.tunnels);
    plan.upstreams.roots.extend(more.roots);
    if let Some(url) = &plan.url
        && !is_base_url(&url.at(1))
    {
        return Err(Refusal::arguments(format!(
            "the application's URL `{}` is not a base URL such as `http://127.0.0.1:${{PORT}}`",
            without_credentials(&url.written())
        )));
    }
    Ok(plan)
}
