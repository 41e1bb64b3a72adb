//! Conformance suites: one set of tests for each port, run over every adapter of it. A test here
//! says what all adapters have in common; what only one of them promises is tested beside it.
//!
//! The suites start a private Redis and a private S3 on free loopback ports, once for the test
//! process. Where a server is not installed they fail: `deploy/local/install.sh` brings it.

mod archive_store;
mod archive_store_s3;
mod batch_ends;
mod batches;
mod checkpoints;
mod checkpoints_redis;
mod cluster;
mod deletions;
mod leases_redis;
mod operations;
mod proxy;
mod quotas;
mod reconnecting;
mod redis_tls;
mod servers;
mod setup;
mod surges;
mod usage;
mod users;
mod workers;

/// Runs each of the named tests over the store that each of the named functions returns.
macro_rules! over_each_adapter {
    ($tests:tt over $($adapter:ident),+ $(,)?) => {
        $( $crate::adapters::conformance::over_each_adapter!(@one $adapter $tests); )+
    };
    (@one $adapter:ident { $($test:ident),+ $(,)? }) => {
        mod $adapter {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::$adapter()).await;
                }
            )+
        }
    };
}
use over_each_adapter;
