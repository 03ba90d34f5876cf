//! What a system without `/proc` tells of processes: nothing, so that only process groups are known.

use std::net::SocketAddr;

use super::listener::Listener;

/// Returns the processes of a group and what else carries a mark; `None`, since they can't be listed.
pub(super) fn members(_group: Option<i32>, _mark: &str) -> Option<Vec<i32>> {
    None
}

/// Returns the group of a process; `None`, since it can't be found out.
pub(super) fn group_of(_process: i32) -> Option<i32> {
    None
}

/// Returns where processes listen; nothing, since it can't be found out.
pub(super) fn listeners(_processes: &[i32]) -> Vec<SocketAddr> {
    Vec::new()
}

/// Returns the processes that get the connections to one of these addresses; none, since they can't be found out.
pub(super) fn listening_at(_addresses: &[SocketAddr]) -> Vec<Listener> {
    Vec::new()
}

/// Returns whether one of these processes has a connection from this address; `None`, since it can't be found out.
pub(super) fn has_connection_from(_processes: &[i32], _own: SocketAddr) -> Option<bool> {
    None
}

/// Returns when a process began; `None`, since it can't be found out.
pub(super) fn began(_id: i32) -> Option<u64> {
    None
}

/// Returns the ports that the system gives to whoever asks for none.
pub(super) fn first_given_port() -> Option<u16> {
    None
}

/// Returns the names of the programs of processes; none, since they can't be found out.
pub(super) fn programs(_processes: &[i32]) -> Vec<String> {
    Vec::new()
}
