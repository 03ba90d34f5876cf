//! One session for the tests of a module.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::session::SoftprobeSession;
use crate::error::SoftprobeError;

/// One session for the tests of a module, as a `static`.
///
/// The first test that asks opens it; tests that run at the same time share it; the last one that
/// lets go closes it. A test that comes later still gets a fresh one from the same function, so that
/// no session is ever left open.
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
    /// A session that `open` opens when it is first wanted.
    pub const fn new(open: fn() -> Result<SoftprobeSession, SoftprobeError>) -> Self {
        Self {
            open,
            current: Mutex::new(Weak::new()),
        }
    }

    /// The session, for as long as the caller holds it.
    ///
    /// # Errors
    ///
    /// What opening it failed with.
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
