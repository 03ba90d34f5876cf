//! Finds out who has made a connection.

use std::sync::Arc;

use super::application::Application;
use super::{processes, ready};
use crate::net::MadeBy;

/// Returns what says whether the application at a URL, which this process may have launched, has made a connection.
pub(crate) fn made_by(launched: Option<&Application>, url: &str) -> MadeBy {
    let group = launched.map(Application::group);
    let url = url.to_owned();
    Arc::new(move |client| {
        let mut ids: Vec<i32> = match &group {
            Some(group) => {
                let members = group.members().into_iter();
                members.map(|member| member.as_raw_pid()).collect()
            }
            None => {
                let addresses = ready::addresses(&url).unwrap_or_default();
                let listening = processes::listening_at(&addresses).into_iter();
                listening.map(|listener| listener.process).collect()
            }
        };
        // What it asks for through the proxy.
        ids.extend(i32::try_from(std::process::id()));
        processes::has_connection_from(&ids, client)
    })
}
