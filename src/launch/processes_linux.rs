//! What Linux tells of processes below `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::listener::Listener;

/// What `/proc/<id>/stat` says of a process.
struct Process {
    parent: i32,
    group: i32,
}

/// Returns the processes of a group, those whose environment holds a mark, and what these started; `None` if they can't
/// be listed. One that has ended and waits for its parent is none.
pub(super) fn members(group: Option<i32>, mark: &str) -> Option<Vec<i32>> {
    let own = i32::try_from(std::process::id()).ok();
    fs::metadata("/proc/self/stat").ok()?;
    let running: HashMap<i32, Process> = ids()
        .filter(|id| Some(*id) != own)
        .filter_map(|id| Some((id, process(id)?)))
        .collect();
    let mut found: HashSet<i32> = running
        .iter()
        .filter(|(id, process)| Some(process.group) == group || has_mark(**id, mark))
        .map(|(id, _)| *id)
        .collect();
    loop {
        let more: Vec<i32> = running
            .iter()
            .filter(|(id, process)| !found.contains(id) && found.contains(&process.parent))
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            return Some(found.into_iter().collect());
        }
        found.extend(more);
    }
}

/// Returns the group of a process, if it runs.
pub(super) fn group_of(id: i32) -> Option<i32> {
    process(id).map(|process| process.group)
}

/// Returns what `/proc/<id>/stat` says of a process after its name, which may hold anything and is in parentheses.
fn stat(id: i32) -> Option<String> {
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    Some(stat[stat.rfind(')')? + 1..].to_owned())
}

fn process(id: i32) -> Option<Process> {
    let stat = stat(id)?;
    // The state, the parent and the group.
    let mut fields = stat.split_ascii_whitespace();
    if ["Z", "X"].contains(&fields.next()?) {
        return None;
    }
    Some(Process {
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// Returns whether the environment of a process holds such a variable.
fn has_variable(id: i32, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_it)
}

fn has_mark(id: i32, mark: &str) -> bool {
    has_variable(id, |variable| variable == mark.as_bytes())
}

/// Returns where processes listen for TCP connections, as far as they can be asked.
pub(super) fn listeners(processes: &[i32]) -> Vec<SocketAddr> {
    let sockets: HashSet<String> = processes.iter().flat_map(|id| sockets(*id)).collect();
    let open = open_listeners().into_iter();
    let mut found: Vec<SocketAddr> = open
        .filter(|(_, socket)| sockets.contains(socket))
        .map(|(address, _)| address)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns whether one of these processes has a connection from this address of its own; `None` if that can't be found out.
pub(super) fn has_connection_from(processes: &[i32], own: SocketAddr) -> Option<bool> {
    let own = SocketAddr::new(own.ip().to_canonical(), own.port());
    let open = table(|local, state| {
        state != LISTENS && local.port() == own.port() && local.ip().to_canonical() == own.ip()
    });
    fs::metadata("/proc/net/tcp").ok()?;
    let numbers: HashSet<String> = open.into_iter().map(|(_, number)| number).collect();
    let mut all = processes.iter().flat_map(|id| sockets(*id));
    Some(all.any(|socket| numbers.contains(&socket)))
}

/// Returns the processes that get the connections to one of these addresses, as far as they can be asked.
pub(super) fn listening_at(addresses: &[SocketAddr]) -> Vec<Listener> {
    let open = open_listeners();
    let get = |address: &SocketAddr| {
        let numbers = |is_right: &dyn Fn(&SocketAddr) -> bool| -> Vec<String> {
            let right = open.iter().filter(|(listener, _)| is_right(listener));
            right.map(|(_, number)| number.clone()).collect()
        };
        let exact = numbers(&|listener| listener == address);
        match exact.is_empty() {
            false => exact,
            true => numbers(&|listener| {
                listener.port() == address.port() && listener.ip().is_unspecified()
            }),
        }
    };
    let wanted: HashSet<String> = addresses.iter().flat_map(get).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Listener> = ids()
        .filter(|id| sockets(*id).any(|socket| wanted.contains(&socket)))
        .map(|id| Listener {
            process: id,
            program: programs(&[id]).into_iter().next().unwrap_or_default(),
            began: began(id).unwrap_or_default(),
            is_launched: has_variable(id, |variable| variable.starts_with(b"SOFTPROBE_APP_")),
        })
        .collect();
    found.sort();
    found
}

/// Returns when a process began, in ticks since the system did.
pub(super) fn began(id: i32) -> Option<u64> {
    /// The number of the field behind the name, which is the second one.
    const BEGAN: usize = 22 - 3;
    stat(id)?.split_ascii_whitespace().nth(BEGAN)?.parse().ok()
}

/// Returns the numbers of a process's sockets.
fn sockets(id: i32) -> impl Iterator<Item = String> {
    let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
    let links = files.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|link| {
        let number = link.to_str()?.strip_prefix("socket:[")?;
        Some(number.strip_suffix(']')?.to_owned())
    })
}

/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Returns the sockets that listen for TCP connections, by their addresses and numbers.
fn open_listeners() -> Vec<(SocketAddr, String)> {
    table(|_, state| state == LISTENS)
}

/// Returns the TCP sockets that `is_wanted` by their own addresses and states, with their addresses and numbers.
fn table(is_wanted: impl Fn(&SocketAddr, &str) -> bool) -> Vec<(SocketAddr, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let sockets = lines.filter_map(socket);
    sockets
        .filter(|(local, state, _)| is_wanted(local, state))
        .map(|(local, _, number)| (local, number.to_owned()))
        .collect()
}

/// Returns the address, the state and the number of the socket in a line of a table of TCP sockets.
fn socket(line: &str) -> Option<(SocketAddr, &str, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let (local, state) = (fields.nth(1)?, fields.nth(1)?);
    let number = fields.nth(5)?;
    let (host, port) = local.split_once(':')?;
    // Each group of four bytes is a number in the machine's order.
    let words: Option<Vec<u32>> = (0..host.len() / 8)
        .map(|n| u32::from_str_radix(host.get(n * 8..n * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let host = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).ok()?),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(host, port), state, number))
}

/// Returns the processes that run or wait for their parents.
fn ids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the names of the programs of processes, and `go` for each that Go's compiler made.
pub(super) fn programs(processes: &[i32]) -> Vec<String> {
    let files = processes.iter();
    let files = files.filter_map(|id| fs::read_link(format!("/proc/{id}/exe")).ok());
    let mut names = Vec::new();
    for file in files {
        names.extend(
            file.file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
        if is_made_by_go(&file) {
            names.push("go".to_owned());
        }
    }
    names
}

/// Returns whether a program begins with the note that Go's linker leaves in it.
fn is_made_by_go(file: &std::path::Path) -> bool {
    /// The note is in the headers, or in the first pages of the code.
    const LOOKED_AT: u64 = 64 * 1024;
    let mut start = Vec::new();
    let read = fs::File::open(file).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut start));
    let note = b"Go build ID";
    read.is_ok() && start.windows(note.len()).any(|part| part == note)
}

/// Returns the first of the ports that the system gives to whoever asks for none.
pub(super) fn first_given_port() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_has_made_a_connection_is_found() {
        let own = i32::try_from(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let made = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let from = made.local_addr().unwrap();
        assert_eq!(has_connection_from(&[own], from), Some(true));
        assert_eq!(has_connection_from(&[], from), Some(false));
        drop(made);
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(has_connection_from(&[own], nobody), Some(false));
    }

    #[test]
    fn what_this_process_listens_at_is_found() {
        let own = i32::try_from(std::process::id()).unwrap();
        let sockets = [
            TcpListener::bind("127.0.0.1:0"),
            TcpListener::bind("[::1]:0"),
        ];
        let found = listeners(&[own]);
        for socket in sockets.iter().flatten() {
            let address = socket.local_addr().unwrap();
            assert!(found.contains(&address), "{address} is not in {found:?}");
        }
    }
}
