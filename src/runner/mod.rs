//! The runner: turns suites into one libtest trial per case.

mod ahead;
mod answer;
mod app;
mod apps;
mod args;
mod bless;
mod ca;
mod calls;
mod discover;
mod environment;
mod judge;
mod last_run;
mod load;
mod mocks;
mod narrow;
mod nearest;
mod noise;
mod observe;
mod pace;
mod places;
mod plan_apps;
mod pool;
mod progress;
mod refusal;
mod replay;
mod reports;
mod select;
mod shard;
mod share;
mod shared;
mod signals;
mod sources;
mod unjudged;
mod upstreams;

pub(crate) use answer::expected;
pub use app::App;
pub(crate) use apps::{Apps, Launch, SLOWEST_STOP, Shown, for_launched, tell_idle_calls};
pub(crate) use args::CommandArgs;
pub(crate) use args::{
    AppFlags, Args, CallerFlags, Color, Flags, SuiteFlags, UpstreamFlags, app_of, is_flagged, line,
};
pub(crate) use bless::{read_pending, secrets, write_pending};
pub(crate) use ca::CaFlag;
pub(crate) use last_run::{last_run, page_of_last_run, read as read_run};
pub(crate) use load::check;
pub(crate) use noise::{Found, Kind, Look, Message, Named, Told, find};
pub(crate) use plan_apps::plan_of_flags;
pub(crate) use progress::Progress;
pub(crate) use refusal::{Ended, Refusal, RefusalKind, signal_code};
pub use replay::Replay;
pub(crate) use reports::ReportFlags;
pub(crate) use signals::{Interrupts, Outran, ending_signals, until_signal};
pub(crate) use sources::on_ci;
pub(crate) use upstreams::with_upstreams;
