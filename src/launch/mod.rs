//! Launches an application under test in a process group of its own, with everything that makes its calls come to the
//! proxy, and ends it with everything that it started.

mod application;
mod group;
mod interception;
mod keeper;
mod leader;
mod listener;
mod maker;
mod output;
mod port;
#[cfg(target_os = "linux")]
#[path = "processes_linux.rs"]
mod processes;
#[cfg(not(target_os = "linux"))]
#[path = "processes_elsewhere.rs"]
mod processes;
mod readiness;
mod ready;
mod reset;
mod setting;

pub(crate) use application::{Application, SLOWEST_END, Surroundings};
pub(crate) use interception::{Interception, trust_variables};
pub(crate) use keeper::Guard;
pub(crate) use maker::made_by;
pub(crate) use output::Lines;
pub(crate) use readiness::{NotReady, Waited, listens_elsewhere};
pub(crate) use ready::wait_until_listening;
pub(crate) use reset::reset;
pub(crate) use setting::Setting;
