//! How a run goes on, on a terminal.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::{failing, shop};
use crate::command::softprobe;
use crate::languages::is_there;
use crate::support::{Project, Stub, kill};
use crate::terminal::Terminal;

/// Returns an application that answers all but the last of four cases at once, one of them wrongly, and the last one when it
/// is let.
fn app() -> (Stub, Sender<()>) {
    let (release, is_released) = channel::<()>();
    let is_released = Mutex::new(is_released);
    let app = Stub::start(move |request| {
        let path = request.line.split(' ').nth(1).unwrap();
        let n = path.rsplit('/').next().unwrap();
        if n == "3" {
            let _ = is_released.lock().unwrap().recv();
        }
        let value = if n == "1" { 2 } else { 1 };
        crate::support::http(200, &[], format!("{{\"p00\":{value},\"n\":{n}}}"))
    });
    (app, release)
}

fn start(project: &Project, app: &Stub, more: &[&str], env: &[(&str, &str)]) -> Terminal {
    let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
    command
        .args(more)
        .env("TERM", "xterm")
        .envs(env.iter().copied())
        .current_dir(project.path());
    Terminal::start(&mut command, 100)
}

#[test]
fn a_terminal_shows_how_a_run_goes_on() {
    let project = failing(1, 4);
    let (slow, release) = app();
    let mut terminal = start(&project, &slow, &[], &[]);
    terminal.shows("3/4 done, 1 failed, 1 running");
    terminal.shows("; s::r00-3 for 2 s");
    assert!(
        terminal.screen().contains("[===============>    ]"),
        "{}",
        terminal.screen()
    );
    // It stays one line on a terminal that becomes narrower.
    terminal.resize(50);
    terminal.shows("3/4 done");
    terminal.shows("3/4 done");
    let screen = terminal.screen();
    assert_eq!(screen.matches("3/4 done").count(), 1, "{screen}");
    drop(release);
    let (code, screen, written) = terminal.ends();
    assert_eq!(code, 20, "{screen}");
    assert!(!screen.contains(" done, "), "{screen}");
    assert!(
        screen.contains("test result: FAILED. 3 passed; 1 failed"),
        "{screen}"
    );
    assert!(written.contains("\u{1b}[31m1 failed"), "{written}");
}

#[test]
fn results_and_what_others_write_stand_whole() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = shop::project(30);
    let mut command = softprobe(&[
        "suite",
        "run",
        "shop.suite.yaml",
        "--app-output",
        "--filter",
        "shop::0",
    ]);
    command.env("TERM", "xterm").current_dir(project.path());
    let terminal = Terminal::start(&mut command, 120);
    let (code, screen, written) = terminal.ends();
    assert_eq!(code, 0, "{screen}");
    let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
    for n in 0..30 {
        let line = format!("test shop::{n:05} ... ok");
        assert!(lines.contains(&line.as_str()), "{line} is not in\n{screen}");
    }
    let served = lines.iter().filter(|line| line.ends_with("served /ok"));
    assert!(
        served.clone().all(|line| !line.contains("done")),
        "{screen}"
    );
    assert_eq!(served.count(), 30, "{screen}");
    assert!(!screen.contains(" done, "), "{screen}\n{written}");
}

#[test]
fn an_interrupted_run_leaves_no_line_behind() {
    let project = failing(1, 4);
    let (slow, release) = app();
    let mut terminal = start(&project, &slow, &[], &[("NO_COLOR", "1")]);
    terminal.shows("3/4 done, 1 failed, 1 running");
    // The command does not own the terminal of a test, so its keys send no signals.
    kill("-INT", terminal.id());
    let (code, screen, written) = terminal.ends();
    drop(release);
    assert_eq!(code, 130, "{screen}");
    assert!(
        !screen.contains(" done, ") && screen.contains("interrupted"),
        "{screen}"
    );
    assert!(!written.contains("\u{1b}[31m"), "{written}");
}

#[test]
fn nothing_moves_where_nobody_looks() {
    let project = failing(1, 3);
    let (quick, _release) = app();
    for (args, env) in [
        (&["--no-progress"][..], &[][..]),
        (&[], &[("SOFTPROBE_NO_PROGRESS", "1")]),
        (&[], &[("CI", "true")]),
        (&[], &[("TERM", "dumb")]),
        // Its characters would stand in the line.
        (&["-q"], &[]),
    ] {
        let (code, _, written) = start(&project, &quick, args, env).ends();
        assert_eq!(code, 20);
        assert!(!written.contains(" done, "), "{args:?} {env:?}: {written}");
    }
    let (_, _, written) = start(&project, &quick, &["--test-threads", "1"], &[]).ends();
    assert!(written.contains("test s::r00-0 ... "), "{written}");
}
