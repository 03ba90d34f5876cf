//! Locks a file against other processes that change it too.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// How long another process may hold a lock.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(2);

/// A lock of a file, until it is dropped. Only those who lock the file too are kept out.
#[derive(Debug)]
#[must_use = "the file is locked until this is dropped"]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

/// Locks a file that its user may write. The file may be replaced by another through a rename while it is locked.
///
/// # Errors
///
/// If the file can't be written, or if another process holds the lock for ten seconds.
pub(crate) fn lock(path: &Path) -> io::Result<Lock> {
    let end = Instant::now() + LONGEST_WAIT;
    loop {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever held the lock before may have put another file in the place of the one that is locked now.
            Ok(()) if is_at(&file, path)? => return Ok(Lock(file)),
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => sleep(PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process has locked it for ten seconds",
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns whether a file is the one at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (own, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
}
