//! HTTP on sockets: the client, the server under the control API and the proxy, and conversions between their
//! libraries' types and ours.

#[cfg(feature = "runner")]
mod address;
#[cfg(feature = "embedded")]
mod callers;
mod client;
#[cfg(feature = "embedded")]
mod clock;
#[cfg(feature = "embedded")]
mod convert;
mod early;
#[cfg(feature = "embedded")]
mod frames;
#[cfg(feature = "embedded")]
mod http2;
#[cfg(feature = "embedded")]
mod listening;
#[cfg(feature = "embedded")]
mod names;
#[cfg(feature = "embedded")]
mod peer;
#[cfg(feature = "embedded")]
mod read;
#[cfg(feature = "embedded")]
mod roots;
#[cfg(feature = "embedded")]
mod server;
#[cfg(feature = "embedded")]
mod targets;
#[cfg(feature = "embedded")]
mod trace;
#[cfg(feature = "embedded")]
mod watched;

#[cfg(feature = "runner")]
pub(crate) use address::address;
#[cfg(feature = "embedded")]
pub(crate) use callers::{Callers, is_loopback};
#[cfg(feature = "embedded")]
pub(crate) use client::headers_of;
pub(crate) use client::{Client, ClientError, Timeouts};
#[cfg(feature = "embedded")]
pub(crate) use clock::now_us;
#[cfg(feature = "embedded")]
pub(crate) use convert::{
    Body, Continued, HyperRequest, HyperResponse, answer_to, append_headers, breaking, head_of,
    plain, to_hyper,
};
#[cfg(feature = "embedded")]
pub(crate) use http2::{Http2Limits, http2_connection};
#[cfg(feature = "embedded")]
pub(crate) use listening::{leads_to_authority, own_address};
#[cfg(feature = "embedded")]
pub(crate) use names::Names;
#[cfg(feature = "runner")]
pub(crate) use peer::MadeBy;
#[cfg(feature = "embedded")]
pub(crate) use peer::Peer;
#[cfg(feature = "embedded")]
pub(crate) use read::{Held, Intake, LARGEST_BODY, MOST_HELD, Taken, Unreadable, gunzip};
#[cfg(feature = "embedded")]
pub(crate) use roots::system_roots;
#[cfg(feature = "runner")]
pub(crate) use server::ClientAddress;
#[cfg(feature = "embedded")]
pub(crate) use server::{Ended, ListenError, Manner, Server, connection, delay};
#[cfg(feature = "embedded")]
pub(crate) use trace::{now_ns, random_trace};
#[cfg(feature = "embedded")]
pub(crate) use watched::{Resets, Unread};
