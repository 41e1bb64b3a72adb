//! A Redis connection that died: the next command opens another one, whether it reads or writes.

use std::sync::Arc;

use super::proxy::Proxy;
use super::servers;
use super::setup::{LEASE, checkpoint, user};
use crate::adapters::redis::{RedisCheckpoints, RedisConnection, RedisHealth};
use crate::address::RedisUrl;
use crate::failure::Code;
use crate::integrity::Integrity;
use crate::job::UserId;
use crate::ports::{CheckpointHealth as _, Checkpoints as _, Claim};

struct Behind {
    proxy: Proxy,
    checkpoints: RedisCheckpoints,
    health: RedisHealth,
    saved: UserId,
}

/// A store that reaches its Redis through a proxy, with one saved checkpoint.
async fn behind_a_proxy() -> Behind {
    let direct = servers::redis_url();
    let server = &direct.servers[0];
    let proxy = Proxy::start(format!("{}:{}", server.0, server.1)).await;
    let url = format!("redis://127.0.0.1:{}/{}", proxy.port, direct.database);
    let connection = Arc::new(RedisConnection::new(&RedisUrl::parse(&url).unwrap()));
    let store = |connection| RedisCheckpoints::new(connection, LEASE, None, Integrity::default());
    let checkpoints = store(Arc::clone(&connection));

    let saved = user();
    // By another one: a claim keeps a second connection open, which would be counted as well.
    let saving = store(Arc::new(RedisConnection::new(&direct)));
    let Claim::Granted { lease, .. } = saving.claim(saved).await.unwrap() else {
        panic!("a new user is granted");
    };
    saving.save(&lease, 0, &checkpoint(saved, 1)).await.unwrap();
    checkpoints.read(saved).await.unwrap();
    Behind {
        proxy,
        checkpoints,
        health: RedisHealth::new(connection),
        saved,
    }
}

#[tokio::test]
async fn a_read_after_the_connection_died_opens_another_one() {
    let behind = behind_a_proxy().await;
    for cut in 1..=3 {
        behind.proxy.cut().await;
        let read = behind.checkpoints.read(behind.saved).await.unwrap();
        assert_eq!(read, Some(checkpoint(behind.saved, 1)));
        assert_eq!(behind.proxy.accepted(), 1 + cut);
    }
}

#[tokio::test]
async fn a_read_of_the_settings_after_the_connection_died_opens_another_one() {
    let behind = behind_a_proxy().await;
    behind.proxy.cut().await;
    let persistence = behind.health.persistence().await.unwrap();
    assert_eq!(persistence.append_only, Some(true));
    assert_eq!(persistence.eviction.as_deref(), Some("noeviction"));
}

#[tokio::test]
async fn a_probe_after_the_connection_died_opens_another_one() {
    let behind = behind_a_proxy().await;
    behind.proxy.cut().await;
    behind.checkpoints.probe().await.unwrap();
}

#[tokio::test]
async fn reads_fail_while_redis_is_down_and_work_once_it_is_back() {
    let mut behind = behind_a_proxy().await;
    behind.proxy.stop().await;
    for _ in 0..2 {
        let failure = behind.checkpoints.read(behind.saved).await.unwrap_err();
        assert_eq!(failure.code, Code::CheckpointsUnreachable);
        let failure = behind.health.persistence().await.unwrap_err();
        assert_eq!(failure.code, Code::CheckpointsUnreachable);
    }

    behind.proxy.restart().await;
    let read = behind.checkpoints.read(behind.saved).await.unwrap();
    assert_eq!(read, Some(checkpoint(behind.saved, 1)));
    behind.health.persistence().await.unwrap();
}
