//! An application under test that a test target starts by itself.

use std::any::Any;
use std::fmt;

use crate::base::http::without_credentials;

/// An application under test that the runner started.
pub struct App {
    /// The application's base URL.
    pub url: String,
    /// Dropping it stops the application.
    #[expect(dead_code, reason = "held only for its drop")]
    guard: Box<dyn Any + Send>,
}

impl App {
    /// Creates an application with this base URL; dropping the guard stops the application.
    pub fn new(url: impl Into<String>, guard: impl Any + Send) -> Self {
        Self {
            url: url.into(),
            guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("url", &without_credentials(&self.url))
            .finish_non_exhaustive()
    }
}
