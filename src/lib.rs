//! `offboarder` takes users of NICE CXone off board: access goes at once, conversations are kept,
//! the account is deleted where the tenant allows it, and all of it can be proved.
//!
//! Data flows one way: delivery → [`job`] → [`worker`] → [`machine`] (pure) → [`steps`] → [`ports`]
//! and [`adapters`].
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`failure`] | what can go wrong, and what follows; pure |
//! | [`integrity`] | codes by which our own records are known; pure |
//! | [`job`] | user IDs, requests, messages; pure |
//! | [`machine`] | states, events, effects, the transition; pure |
//! | [`manifest`] | what manifest and seal say, and the objects' names; pure |
//! | [`verify`] | what is stored, held against itself |
//! | [`guards`] | what holds a deletion back: the judgements are pure; holds and the pause |
//! | [`acts`] | the log of what operators did |
//! | [`ports`] | what is needed of the stores |
//! | [`steps`] | one file per step |
//! | [`batch`] | how far a batch is, told by the records of its users |
//! | [`status`] | what is known of a user |
//! | [`worker`] | the driver, and consuming from the broker |
//! | [`dead_letters`] | looking at them, judging, replaying, discarding |
//! | [`adapters`] | RabbitMQ, Redis, the embedded store, CXone, S3, directories |
//! | [`telemetry`] | logs, metrics, traces |
//! | [`admin`] | health, metrics and the API for operators, over HTTP |
//! | [`config`] | settings: flags, environment, files |
//! | [`cli`] | one file per command |
//! | [`simulator`] | the CXone API on loopback, with faults on request |
//! | [`fuzzing`] | what the fuzz targets in `fuzz/` call |

pub mod acts;
pub mod adapters;
pub mod admin;
pub mod batch;
pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod fuzzing_stored;
pub mod guards;
pub mod integrity;
pub mod job;
mod kill_point;
pub mod machine;
pub mod manifest;
pub mod ports;
mod printable;
mod progress;
pub mod simulator;
pub mod status;
pub mod steps;
pub mod submit;
pub mod telemetry;
pub mod verify;
pub mod worker;
