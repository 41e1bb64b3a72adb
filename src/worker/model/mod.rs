//! The model: two workers, one user, and everything that can go wrong between any two of their acts.
//! It runs the product's own [`plan_commands`](super::run::decide::plan_commands), and with it the
//! state machine, and the product's own mapping from outcomes to settlements. It makes up only the
//! world around them: broker, Redis, S3 and CXone, one atomic act at a time.

mod actions;
mod broken_rules;
mod fate;
mod properties;
mod steps;
mod world;
