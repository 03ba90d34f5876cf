//! The sample with one thing broken at a time: exactly the right cases fail, and say why.

use std::path::PathBuf;

use softprobe::Hooks;
use softprobe::hook::RequestChange;

use crate::support::{Project, Run};

#[path = "../../examples/checkout.rs"]
mod checkout;
#[path = "../../hooks/checkout.rs"]
mod checkout_hooks;

pub(crate) fn start(proxy: &str) -> std::io::Result<checkout::Checkout> {
    checkout::Checkout::start(0, Some(proxy))
}

/// Returns the sample's hooks, plus a broken one if the environment asks for it.
pub(crate) fn hooks() -> Hooks {
    match std::env::var("SOFTPROBE_TEST_HOOKS").as_deref() {
        Ok("failing") => checkout_hooks::hooks()
            .request("broken.fails", |_, _| Err("the card vault is shut".into())),
        Ok("panicking") => checkout_hooks::hooks()
            .request("broken.panics", |_, _| -> Result<RequestChange, _> {
                panic!("no vault")
            }),
        _ => checkout_hooks::hooks(),
    }
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

/// Returns a copy of the sample in which one text in one file is replaced.
pub(crate) fn sample(file: &str, from: &str, to: &str) -> Project {
    let project = Project::new();
    for folder in ["suites", "cases/checkout", "cases/fulfilment", "cases/auto"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            // It runs cargo in the project, and the copy is none.
            if name == "suites/launched.suite.yaml" {
                continue;
            }
            let mut text = std::fs::read_to_string(entry.path()).unwrap();
            if name == file {
                assert!(text.contains(from), "{from} is not in {file}");
                text = text.replacen(from, to, 1);
            }
            project.write(&name, text);
        }
    }
    project
}

fn run(project: &Project, args: &[&str], env: &[(&str, &str)]) -> Run {
    let mut command = project.command(args, env);
    command.env("SOFTPROBE_TEST_SUITES", "suites/*.suite.yaml");
    command.env("SOFTPROBE_TEST_CHECKOUT", "1");
    Run::of(&mut command)
}

/// Panics unless exactly these trials failed and the run printed all of these words.
#[track_caller]
fn exactly(run: &Run, failed: &[&str], words: &[&str]) {
    let results = run.results();
    let found: Vec<&String> = results
        .iter()
        .filter(|(_, result)| *result == "FAILED")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, failed, "{}", run.all());
    assert_eq!(results.len(), 10, "{}", run.all());
    for word in words {
        assert!(
            run.all().contains(word),
            "{word:?} is not in\n{}",
            run.all()
        );
    }
}

#[test]
fn the_unchanged_sample_passes() {
    let run = run(&sample("", "", ""), &[], &[]);
    run.passes();
    exactly(&run, &[], &["10 passed"]);
}

#[test]
fn a_changed_price_fails_every_order() {
    let run = run(&sample("", "", ""), &[], &[("CHECKOUT_DEFECT", "price")]);
    let orders = [
        "checkout::free-shipping",
        "checkout::happy",
        "checkout::masked-card",
    ];
    exactly(
        &run,
        &orders,
        &[
            "$.total\n    expected  3040\n    actual    3043",
            "hook `checkout.totals_match_items`: the total is not",
        ],
    );
}

#[test]
fn a_renamed_field_fails_every_order() {
    let run = run(
        &sample("", "", ""),
        &[],
        &[("CHECKOUT_DEFECT", "renamed-field")],
    );
    let orders = [
        "checkout::free-shipping",
        "checkout::happy",
        "checkout::masked-card",
    ];
    exactly(
        &run,
        &orders,
        &["$.total\n    expected  3040\n    actual    nothing"],
    );
}

#[test]
fn a_removed_mock_fails_even_if_the_application_swallows_the_miss() {
    let file = "suites/checkout.suite.yaml";
    let mock = "    - name: notification\n      match: { hostSuffix: notifications.example }\n  assertions:";
    let project = sample(file, mock, "  assertions:");
    let run = run(&project, &[], &[]);
    exactly(
        &run,
        &[
            "checkout::free-shipping",
            "checkout::happy",
            "checkout::masked-card",
        ],
        &[
            "1 outbound call missed",
            "POST notifications.example/v1/messages",
            "nearest rule `payment` differs on host: it wants `payments.example`, the call has `notifications.example`",
        ],
    );
}

#[test]
fn a_renamed_field_in_a_capture_fails_that_case() {
    let project = sample(
        "cases/auto/parcel-delivered.case.json",
        "\\\"states\\\"",
        "\\\"stages\\\"",
    );
    let run = run(&project, &[], &[]);
    exactly(
        &run,
        &["auto::parcel-delivered"],
        &["$.stages\n    expected  [\"delivered\"]\n    actual    nothing"],
    );
}

#[test]
fn a_hook_that_fails_or_panics_fails_only_its_case() {
    for (hooks, name, message) in [
        (
            "failing",
            "broken.fails",
            "the request hook `broken.fails` failed: the card vault is shut",
        ),
        (
            "panicking",
            "broken.panics",
            "the request hook `broken.panics` failed: it panicked: no vault",
        ),
    ] {
        let project = sample("suites/checkout.suite.yaml", "checkout.unmask_card", name);
        let run = run(&project, &[], &[("SOFTPROBE_TEST_HOOKS", hooks)]);
        exactly(&run, &["checkout::masked-card"], &[message]);
    }
}

#[test]
fn an_unused_mock_fails_under_unused_fail() {
    let file = "suites/fulfilment.suite.yaml";
    let extra = "mocks:\n  - { name: spare, match: { host: spare.example }, response: {} }\n";
    let project = sample(file, "mocks:\n", extra);
    let run = run(&project, &[], &[]);
    exactly(
        &run,
        &[
            "fulfilment::envoy-hello",
            "fulfilment::label",
            "fulfilment::parcel",
        ],
        &["1 mock was never used", "spare (unused: fail)"],
    );
}

#[test]
fn a_missing_answer_in_a_sequence_fails_that_case() {
    let project = sample(
        "cases/fulfilment/parcel.case.json",
        "on its way\\\"}\"",
        "delivered\\\"}\"",
    );
    let run = run(&project, &[], &[]);
    exactly(
        &run,
        &["fulfilment::parcel"],
        &[
            "$.states",
            "upstream[3] GET shipping.example/v1/parcels/42 (unused: fail)",
        ],
    );
}

const ORDERS: [&str; 3] = [
    "checkout::free-shipping",
    "checkout::happy",
    "checkout::masked-card",
];

fn with_defect(defect: &str) -> Run {
    run(&sample("", "", ""), &[], &[("CHECKOUT_DEFECT", defect)])
}

#[test]
fn a_wrong_charge_fails_every_order_though_its_answer_is_right() {
    let words = [
        "1 difference in what was sent",
        "POST payments.example/v1/charges",
        "$.cents\n      expected  3040\n      actual    1",
    ];
    exactly(&with_defect("charge"), &ORDERS, &words);
}

#[test]
fn a_second_charge_fails_every_order() {
    let words = [
        "1 outbound call made too often",
        "mock `payment` answered twice, captured once",
    ];
    exactly(&with_defect("charges-twice"), &ORDERS, &words);
}

#[test]
fn a_confirmation_that_is_left_out_fails_every_order() {
    let words = ["1 mock was never used", "notification (unused: fail)"];
    exactly(&with_defect("no-message"), &ORDERS, &words);
}

#[test]
fn a_confirmation_after_the_answer_is_waited_for() {
    exactly(&with_defect("late-message"), &[], &[]);
    // Without the wait, it may come too late for its order, but it never concerns another case.
    let file = "suites/checkout.suite.yaml";
    let project = sample("", "", "");
    let text = std::fs::read_to_string(project.path().join(file)).unwrap();
    project.write(
        file,
        text.replace("extra: fail", "extra: fail, settleMs: 0"),
    );
    let run = run(&project, &[], &[("CHECKOUT_DEFECT", "late-message")]);
    let results = run.results();
    let others = results
        .iter()
        .filter(|(name, _)| !ORDERS.contains(&name.as_str()));
    for (name, result) in others {
        assert_eq!(result, "ok", "{name}: {}", run.all());
    }
}

#[test]
fn entries_that_are_swapped_fail_their_transfer() {
    let words = [
        "2 differences in what was sent",
        "$.cents\n      expected  -1250\n      actual    1250",
        "$.cents\n      expected  1250\n      actual    -1250",
    ];
    exactly(&with_defect("swapped-entries"), &["auto::transfer"], &words);
    // In the other order, each still gets its own answer.
    exactly(&with_defect("entries-reversed"), &[], &[]);
}

#[test]
fn an_application_that_propagates_nothing_fails_both_cases_that_run_at_once() {
    let args = [
        "--test-threads",
        "2",
        "checkout::happy",
        "checkout::free-shipping",
    ];
    let run = run(
        &sample("", "", ""),
        &args,
        &[("CHECKOUT_DEFECT", "propagates-nothing")],
    );
    run.fails(&[
        "GET shipping.example/v1/quotes?country=DE",
        "the application passed on neither `tracestate` nor `traceparent`, and 2 sessions were open",
        "--one-at-a-time",
    ]);
    let results = run.results();
    assert_eq!(results.len(), 2);
    assert!(
        results.values().all(|result| result == "FAILED"),
        "{}",
        run.all()
    );
}

#[test]
fn nothing_is_started_for_a_list_or_when_nothing_is_selected() {
    let project = sample("", "", "");
    for args in [&["--list"][..], &["no-such-case"], &["--ignored"]] {
        let run = run(&project, args, &[]);
        run.passes();
        assert!(
            !run.stderr.contains("the application starts"),
            "{args:?}: {}",
            run.all()
        );
    }
    let all = run(&project, &["happy"], &[]);
    assert!(all.passes().stderr.contains("the application starts"));
}
