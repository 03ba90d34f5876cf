//! The SDK for tests: [`Softprobe`] opens sessions, [`SoftprobeSession`] is one of them, and both work with
//! any runtime.

mod case_file;
mod http_runtime;
mod mock;
mod module_session;
#[cfg(feature = "embedded")]
mod remote_oracle;
#[cfg(feature = "runner")]
mod remote_rules;
mod session;
mod softprobe;

#[cfg(feature = "runner")]
pub(crate) use http_runtime::HttpRuntime;
pub use mock::{Mock, MockResponse};
pub use module_session::ModuleSession;
pub use session::SoftprobeSession;
pub use softprobe::{Softprobe, SoftprobeBuilder};
