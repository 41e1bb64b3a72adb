//! Who has a user when processes die, pause, or lose Redis for a while.

use std::time::{Duration, Instant};

use super::proxy::Proxy;
use super::servers;
use super::setup::{LEASE, checkpoint, raw_redis, redis_checkpoints, user};
use crate::adapters::redis::RedisCheckpoints;
use crate::address::RedisUrl;
use crate::integrity::Integrity;
use crate::job::UserId;
use crate::ports::{Checkpoints as _, Claim, Lease, Saved};

/// Longer than a process is seen to live that says nothing more.
const SILENT: Duration = Duration::from_secs(5);

fn worker(url: &RedisUrl) -> RedisCheckpoints {
    redis_checkpoints(url, LEASE, Integrity::default())
}

async fn claim(worker: &RedisCheckpoints, user_id: UserId) -> (Lease, u32) {
    match worker.claim(user_id).await.unwrap() {
        Claim::Granted { lease, deaths, .. } => (lease, deaths),
        Claim::Held { for_at_most, .. } => panic!("held for {for_at_most:?}"),
    }
}

/// When it may be seen that the worker of this user is gone.
async fn held(worker: &RedisCheckpoints, user_id: UserId) -> Duration {
    match worker.claim(user_id).await.unwrap() {
        Claim::Held { look_again, .. } => look_again.expect("a worker with a presence"),
        Claim::Granted { lease, .. } => panic!("granted: {lease:?}"),
    }
}

/// As if its time had passed.
async fn end_presence(url: &RedisUrl, lease: &Lease) {
    let (name, _run) = lease.owner.split_once('/').unwrap();
    let mut command = redis::cmd("DEL");
    command.arg(format!("offboarder:process:{name}"));
    assert_eq!(raw_redis::<i64>(url, &command).await, 1);
}

#[tokio::test]
async fn the_user_of_a_process_that_is_gone_is_taken_over_long_before_the_lease_expires() {
    let url = servers::redis_url();
    let dying = worker(&url);
    let other = worker(&url);
    let user_id = user();
    let old = claim(&dying, user_id).await.0;
    assert!(held(&other, user_id).await < SILENT);

    drop(dying);
    end_presence(&url, &old).await;
    let (lease, deaths) = claim(&other, user_id).await;
    assert_eq!(deaths, 1);
    assert!(lease.fence > old.fence);
    let late = worker(&url);
    assert!(!late.renew(&old).await.unwrap());
    let saved = late.save(&old, 0, &checkpoint(user_id, 1)).await.unwrap();
    assert_eq!(saved, Saved::Refused);
    assert!(held(&late, user_id).await < SILENT);
}

#[tokio::test]
async fn a_process_that_lives_keeps_its_users_and_one_that_fell_silent_does_not() {
    let url = servers::redis_url();
    let living = worker(&url);
    let dying = worker(&url);
    let other = worker(&url);
    let kept = user();
    let lost = user();
    let lease = claim(&living, kept).await.0;
    claim(&dying, lost).await;
    drop(dying);

    let unsure = tokio::time::timeout(SILENT, living.unsure(&lease)).await;
    assert!(unsure.is_err(), "it is sure of its lease");
    assert!(held(&other, kept).await < SILENT);
    assert_eq!(claim(&other, lost).await.1, 1);
}

#[tokio::test]
async fn a_process_whose_presence_is_gone_is_unsure_and_gets_its_users_back_without_a_death() {
    let url = servers::redis_url();
    let paused = worker(&url);
    let user_id = user();
    let old = claim(&paused, user_id).await.0;
    end_presence(&url, &old).await;
    paused.unsure(&old).await;

    paused.release_later(&old);
    let released = async {
        let mut command = redis::cmd("EXISTS");
        command.arg(format!("offboarder:{{{user_id}}}:lease"));
        while raw_redis::<i64>(&url, &command).await == 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SILENT, released).await.unwrap();
    let (lease, deaths) = claim(&paused, user_id).await;
    assert_eq!(deaths, 0);
    assert_ne!(
        lease.owner.split_once('/').unwrap().0,
        old.owner.split_once('/').unwrap().0
    );
}

#[tokio::test]
async fn a_process_whose_presence_vanished_stops_before_another_one_takes_its_users_over() {
    let url = servers::redis_url();
    let living = worker(&url);
    let other = worker(&url);
    let user_id = user();
    let lease = claim(&living, user_id).await.0;
    end_presence(&url, &lease).await;

    let unsure = async {
        living.unsure(&lease).await;
        Instant::now()
    };
    let taken_over = async {
        claim(&other, user_id).await;
        Instant::now()
    };
    let (stopped, taken_over) = tokio::join!(unsure, taken_over);
    assert!(stopped < taken_over);
}

#[tokio::test]
async fn a_lease_that_redis_does_not_release_holds_up_no_other_one_and_the_end_of_a_process_releases_the_rest()
 {
    let url = servers::redis_url();
    let ending = worker(&url);
    let users = [user(), user()];
    let stuck = claim(&ending, users[0]).await.0;
    let released = claim(&ending, users[1]).await.0;
    let key = format!("offboarder:{{{}}}:lease", users[0]);
    let mut command = redis::cmd("DEL");
    command.arg(&key);
    assert_eq!(raw_redis::<i64>(&url, &command).await, 1);
    let mut command = redis::cmd("RPUSH");
    command.arg(&key).arg("what another program wrote");
    assert_eq!(raw_redis::<i64>(&url, &command).await, 1);

    ending.release(&stuck).await.unwrap_err();
    ending.release_later(&released);
    ending.close().await;
    assert_eq!(claim(&worker(&url), users[1]).await.1, 0);
}

#[tokio::test]
async fn a_lease_that_could_not_be_released_is_released_when_redis_is_back() {
    let direct = servers::redis_url();
    let server = &direct.servers[0];
    let mut proxy = Proxy::start(format!("{}:{}", server.0, server.1)).await;
    let url = format!("redis://127.0.0.1:{}/{}", proxy.port, direct.database);
    let cut_off = worker(&RedisUrl::parse(&url).unwrap());
    let other = worker(&direct);
    let user_id = user();
    let lease = claim(&cut_off, user_id).await.0;
    proxy.stop().await;
    cut_off.release(&lease).await.unwrap_err();
    held(&other, user_id).await;

    proxy.restart().await;
    let released = async {
        loop {
            match other.claim(user_id).await.unwrap() {
                Claim::Granted { deaths, .. } => return deaths,
                Claim::Held { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let deaths = tokio::time::timeout(SILENT, released).await.unwrap();
    assert_eq!(deaths, 0);
}

#[tokio::test]
async fn a_last_save_whose_answer_was_lost_is_the_same_save_when_it_is_sent_again() {
    let url = servers::redis_url();
    let worker = worker(&url);
    let user_id = user();
    let lease = claim(&worker, user_id).await.0;
    for _ in 0..2 {
        let last = checkpoint(user_id, 1);
        let saved = worker.save_and_release(&lease, 0, &last).await.unwrap();
        assert_eq!(saved, Saved::Version(1));
    }
}
