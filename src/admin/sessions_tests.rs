//! Signing in, with a store that can be away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::http::HeaderValue;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::failure::{Class, Code, Failure};
use crate::people::Permission;
use crate::registers::{PeopleRegister, Place};

const KEY: &str = "offboarder_0123456789abcdef0123456789abcdef";
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[derive(Default)]
struct Fake {
    kept: Mutex<HashMap<String, Session>>,
    is_away: AtomicBool,
}

impl Fake {
    fn answers(&self) -> Result<(), Failure> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Failure::new(
                Class::Systemic,
                Code::CheckpointsUnreachable,
                "away",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl Sessions for Fake {
    async fn keep(&self, digest: &str, session: &Session, _idle: Duration) -> Result<(), Failure> {
        self.answers()?;
        self.kept.lock().insert(digest.to_owned(), session.clone());
        Ok(())
    }

    async fn find(&self, digest: &str, _idle: Duration) -> Result<Option<Session>, Failure> {
        self.answers()?;
        Ok(self.kept.lock().get(digest).cloned())
    }

    async fn end(&self, digest: &str) -> Result<(), Failure> {
        self.answers()?;
        self.kept.lock().remove(digest);
        Ok(())
    }
}

struct Bench {
    desk: SessionDesk,
    store: Arc<Fake>,
    clock: Clock,
    file: tempfile::NamedTempFile,
}

fn people_text(key: &str) -> String {
    let digest = hex::encode(Sha256::digest(key.as_bytes()));
    format!("[[people]]\nname = 'ada'\nrole = 'operator'\nkey_sha256 = '{digest}'\n")
}

async fn bench() -> Bench {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), people_text(KEY)).unwrap();
    let store = Arc::new(Fake::default());
    let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
    let desk = desk(&file, &store, &clock).await;
    Bench {
        desk,
        store,
        clock,
        file,
    }
}

async fn desk(file: &tempfile::NamedTempFile, store: &Arc<Fake>, clock: &Clock) -> SessionDesk {
    let place = Place::File(file.path().to_owned());
    let people = PeopleWatch::begin(PeopleRegister::at(place)).await;
    let store: Arc<dyn Sessions> = Arc::clone(store) as _;
    SessionDesk::new(Some(people), store, Reach::Loopback, clock.clone())
}

/// The headers with which a browser sends back what `Set-Cookie` gave it.
fn with(cookie: &str) -> HeaderMap {
    let pair = cookie.split(';').next().unwrap();
    let sent = format!("theme=dark; {pair}");
    HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&sent).unwrap())])
}

async fn known(desk: &SessionDesk, cookie: &str) -> Option<Caller> {
    match desk.caller(&with(cookie)).await.unwrap() {
        Known::Caller(caller) => Some(caller),
        Known::Nobody => None,
        Known::Unknown => panic!("the store answers"),
    }
}

#[tokio::test]
async fn a_person_with_the_key_is_known_until_signing_out_and_nothing_of_the_cookie_is_stored() {
    let bench = bench().await;
    let cookie = bench.desk.sign_in(PEER, "Ada", KEY).await.unwrap();
    let caller = known(&bench.desk, &cookie).await.unwrap();
    assert_eq!(
        (
            caller.name.as_deref(),
            caller.sign_in,
            caller.may(Permission::Replay)
        ),
        (Some("ada"), SignIn::Session, true)
    );
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    let stored = format!("{:?}", bench.store.kept.lock());
    assert!(
        !stored.contains(secret) && !stored.contains(KEY),
        "{stored}"
    );

    let gone = bench.desk.sign_out(&with(&cookie)).await;
    assert!(gone.contains("Max-Age=0"), "{gone}");
    assert_eq!(known(&bench.desk, &cookie).await, None);
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_and_with_the_key_or_the_person() {
    let bench = bench().await;
    let cookie = bench.desk.sign_in(PEER, "ada", KEY).await.unwrap();
    bench.clock.jump(LONGEST - SignedDuration::from_secs(1));
    assert!(known(&bench.desk, &cookie).await.is_some());
    for text in [
        people_text("offboarder_another_key_of_enough_characters"),
        String::new(),
    ] {
        std::fs::write(bench.file.path(), text).unwrap();
        let later = desk(&bench.file, &bench.store, &bench.clock).await;
        assert_eq!(known(&later, &cookie).await, None);
    }
    bench.clock.jump(SignedDuration::from_secs(1));
    assert_eq!(known(&bench.desk, &cookie).await, None);
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_name_are_one_answer_and_ten_of_them_wait() {
    let bench = bench().await;
    let other = "offboarder_ffffffffffffffffffffffffffffffff";
    for (name, key) in [("ada", other), ("bob", KEY), ("", "")] {
        let refused = bench.desk.sign_in(PEER, name, key).await.unwrap_err();
        assert!(matches!(refused, NotSignedIn::Wrong), "{refused:?}");
    }
    for _try in 3..10 {
        let refused = bench.desk.sign_in(PEER, "ada", other).await.unwrap_err();
        assert!(matches!(refused, NotSignedIn::Wrong), "{refused:?}");
    }
    // The right key waits, too: the answer does not reveal it.
    let refused = bench.desk.sign_in(PEER, "ada", KEY).await.unwrap_err();
    assert!(matches!(refused, NotSignedIn::Wait(_)), "{refused:?}");
}

#[tokio::test]
async fn while_redis_is_away_a_session_is_of_one_worker_reads_and_pauses_and_ends_soon() {
    let bench = bench().await;
    let before = bench.desk.sign_in(PEER, "ada", KEY).await.unwrap();
    bench.store.is_away.store(true, Ordering::Relaxed);
    let unknown = bench.desk.caller(&with(&before)).await.unwrap();
    assert!(matches!(unknown, Known::Unknown), "{unknown:?}");

    let cookie = bench.desk.sign_in(PEER, "ada", KEY).await.unwrap();
    let caller = known(&bench.desk, &cookie).await.unwrap();
    assert_eq!(caller.sign_in, SignIn::WorkerSession);
    assert_eq!(caller.permissions(), [Permission::Look, Permission::Pause]);
    let refused = caller.demand(Permission::Replay).unwrap_err();
    assert!(refused.detail().contains("Redis"), "{}", refused.detail());
    let other = desk(&bench.file, &bench.store, &bench.clock).await;
    assert_eq!(
        known(&other, &cookie).await,
        None,
        "another worker has another key"
    );
    let forged = cookie.replace("w.ey", "w.ez");
    assert_eq!(known(&bench.desk, &forged).await, None);
    bench.clock.jump(OF_WORKER);
    assert_eq!(known(&bench.desk, &cookie).await, None);
}
