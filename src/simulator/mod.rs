//! A tenant's API on loopback, for tests, demo and benchmarks. It fails on request, and keeps a ledger of what was really
//! done. Each API is written from its document alone, with wire types of its own, so that a mistake cannot hide on both
//! sides: `tutorial` from `docs/contract/cxone-openapi.yaml`, `nice` from `docs/contract/cxone-published-openapi.yaml`,
//! `genesys` from `docs/contract/genesys-openapi.yaml`.
//!
//! Beside the API, under `/_simulator/`:
//!
//! | call | what it does |
//! | --- | --- |
//! | `GET ledger[?user=ID]`, `DELETE ledger` | every API call, in order |
//! | `GET counters` | calls by operation and status |
//! | `GET users` | all IDs |
//! | `GET users/ID`, `PUT users/ID` | the current state of one user; adds or replaces one ([`Record`]) |
//! | `GET conversations/ID[?from=&to=]` | exactly the conversations that the API serves |
//! | `GET faults`, `POST faults`, `DELETE faults` | the rules of what goes wrong (`Rule`) |
//! | `PUT scopes` | a JSON list: the scopes or rights of the tokens that are issued from now on |
//! | `GET unknowns`, `PUT unknowns` | a JSON object: the switches for what no public source says (`Switch`) |

mod api;
mod control;
mod conversations;
mod faults;
mod form;
mod gate;
mod genesys;
mod ledger;
mod nice;
mod options;
mod population;
mod quota;
mod reply;
#[cfg(test)]
mod testing;
mod timeline;
mod tutorial;
mod unknowns;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::profile::TenantProfile;
#[cfg(test)]
pub(crate) use faults::Rule;
pub(crate) use ledger::Entry;
pub(crate) use options::{CursorStyle, EtagStyle, Options, RetryAfterStyle};
pub(crate) use population::{DeletionAnswer, Record};
use world::World;

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// It serves every caller, so no other machine may reach it.
    #[error("the simulator listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The port is in use, or not allowed.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A switch that the API does not have.
    #[error("{0}")]
    Unknown(String),
    /// A file that a flag names.
    #[error("cannot read {0}: {1}")]
    File(String, String),
}

/// A running simulator; it stops when this is dropped.
pub(crate) struct Simulator {
    address: SocketAddr,
    world: Arc<World>,
    serving: JoinHandle<()>,
}

/// The switches of an API, for people.
pub(crate) fn switches(profile: TenantProfile) -> String {
    unknowns::list(profile.switches())
}

pub(crate) async fn start(options: &Options) -> Result<Simulator, StartError> {
    if !options.listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(options.listen));
    }
    let world = Arc::new(World::new(options)?);
    let failed = |error| StartError::Listen(options.listen, error);
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = axum::Router::new()
        .nest("/_simulator", control::routes())
        .fallback(gate::answer)
        .with_state(Arc::clone(&world));
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the simulator ended");
        }
    });

    Ok(Simulator {
        address,
        world,
        serving,
    })
}

impl Simulator {
    pub(crate) fn base_uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The IDs of all users, in order.
    pub(crate) fn user_ids(&self) -> Vec<String> {
        self.world.user_ids()
    }

    /// What was really done, in order.
    pub(crate) fn ledger(&self) -> Vec<Entry> {
        self.world.ledger.entries(None)
    }

    /// Adds or replaces a user.
    pub(crate) fn put_user(&self, record: Record) {
        self.world.put_user(record);
    }

    /// The current state of a user.
    #[cfg(test)]
    pub(crate) fn user_now(&self, id: &str) -> Option<serde_json::Value> {
        self.world.api.user_now(id)
    }

    #[cfg(test)]
    pub(crate) fn add_fault(&self, rule: Rule) {
        self.world.faults.add(rule);
    }

    /// Serves until its process ends.
    pub(crate) async fn wait(&mut self) {
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "the simulator ended");
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
