//! One session that the tests of a module share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::session::SoftprobeSession;
use crate::error::SoftprobeError;

/// A session in a `static`, shared by the tests of a module.
///
/// The first test that gets the session opens it, tests that run at the same time share it, and dropping
/// the last handle closes it. A test that runs after that opens a new session with the same function. So
/// no session is left open.
///
/// ```no_run
/// use softprobe::{Mode, ModuleSession, Softprobe};
///
/// static SESSION: ModuleSession = ModuleSession::new(|| {
///     let session = Softprobe::new().start_session(Mode::Replay)?;
///     session.load_case_from_file("cases/checkout.case.json")?;
///     Ok(session)
/// });
///
/// #[test]
/// fn checkout_pays() {
///     let session = SESSION.get().unwrap();
///     assert!(session.id().starts_with("sess_"));
/// }
/// ```
#[derive(Debug)]
pub struct ModuleSession {
    open: fn() -> Result<SoftprobeSession, SoftprobeError>,
    current: Mutex<Weak<SoftprobeSession>>,
}

impl ModuleSession {
    /// Creates a shared session, which `open` opens when it is first needed.
    pub const fn new(open: fn() -> Result<SoftprobeSession, SoftprobeError>) -> Self {
        Self {
            open,
            current: Mutex::new(Weak::new()),
        }
    }

    /// Returns a handle to the session, which stays open at least until the handle is dropped.
    ///
    /// # Errors
    ///
    /// The error of opening the session.
    pub fn get(&self) -> Result<Arc<SoftprobeSession>, SoftprobeError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.upgrade() {
            return Ok(session);
        }
        let session = Arc::new((self.open)()?);
        *current = Arc::downgrade(&session);
        Ok(session)
    }
}
