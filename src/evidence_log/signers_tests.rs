//! A key in another service signs, alone and while it replaces a local one or is replaced by one.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::evidence_log::writer_tests::{Log, signer};
use crate::evidence_log::{Erased, Policy, Writer, check_log};

/// How the service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Signs,
    Away,
    /// Signs with another key, as after an alias was pointed to it.
    Foreign,
}

struct Service {
    key: SigningKey,
    other: SigningKey,
    mood: Mutex<Mood>,
    calls: Mutex<u32>,
}

impl Service {
    fn new() -> Arc<Self> {
        let key = || SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
        Arc::new(Self {
            key: key(),
            other: key(),
            mood: Mutex::new(Mood::Signs),
            calls: Mutex::new(0),
        })
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    fn alone(self: &Arc<Self>) -> Signers {
        Signers::Remote(Arc::clone(self) as Arc<dyn NoteSigner>)
    }

    fn with_local(self: &Arc<Self>) -> Signers {
        let remote = Arc::clone(self) as Arc<dyn NoteSigner>;
        Signers::Both(signer().into(), remote)
    }
}

#[async_trait]
impl NoteSigner for Service {
    fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], Failure> {
        *self.calls.lock() += 1;
        let mood = *self.mood.lock();
        match mood {
            Mood::Signs => Ok(self.key.sign_bytes(message)),
            Mood::Foreign => Ok(self.other.sign_bytes(message)),
            Mood::Away => Err(Failure::new(
                Class::Transient,
                Code::EvidenceKeyUnreachable,
                "it is away",
            )),
        }
    }
}

async fn written(log: &Log, writer: &mut Writer, name: &str) -> usize {
    log.put(&format!("_act_{name}.json"), "{}").await;
    log.write(writer).await
}

/// What the check of the whole log says that knows these keys: its records, or the first finding.
async fn checked(log: &Log, keys: &[&VerifierKey]) -> Result<usize, String> {
    let policy = Policy::of_logs(keys.iter().map(|key| (*key).clone()).collect());
    let now = log.clock.now();
    let report = check_log(&*log.store(), &policy, &[], &Erased::new(), now).await;
    let report = report.unwrap();
    match report.findings.first() {
        None => Ok(report.records),
        Some(finding) => Err(finding.text.clone()),
    }
}

#[tokio::test]
async fn a_service_signs_one_checkpoint_a_step_and_a_log_that_waited_for_it_follows() {
    let log = Log::new();
    let service = Service::new();
    let mut writer = log.writer_of(service.alone(), "w");
    assert_eq!(written(&log, &mut writer, "1").await, 1);
    assert_eq!(log.write(&mut writer).await, 0);
    assert_eq!(*service.calls.lock(), 1, "a step, and nothing else");

    service.be(Mood::Away);
    log.put("_act_2.json", "{}").await;
    log.wait(2);
    let away = writer.write().await.unwrap_err();
    assert_eq!(
        (away.class, away.code),
        (Class::Transient, Code::EvidenceKeyUnreachable)
    );
    assert!(!log.path("_log_step_2.json").exists());

    service.be(Mood::Foreign);
    let foreign = writer.write().await.unwrap_err();
    assert!(foreign.text.contains("is not one of"), "{foreign}");
    assert!(!log.path("_log_step_2.json").exists());

    service.be(Mood::Signs);
    assert_eq!(written(&log, &mut writer, "3").await, 2);
    assert_eq!(checked(&log, &[service.verifier()]).await, Ok(3));
}

#[tokio::test]
async fn a_key_in_a_service_replaces_a_local_one_and_the_other_way() {
    for to_service in [true, false] {
        let log = Log::new();
        let service = Service::new();
        let local = || Signers::from(signer());
        let mut order = [local(), service.with_local(), service.alone()];
        if !to_service {
            order.reverse();
        }
        for (round, signers) in order.into_iter().enumerate() {
            log.wait(60);
            for step in 0..2 {
                // Each worker is restarted, so it begins with what it reads.
                let mut writer = log.writer_of(signers.clone(), "w");
                let name = format!("{round}{step}");
                // What steps of a key have that is not known here may come in again.
                assert!(written(&log, &mut writer, &name).await > 0, "{name}");
            }
        }

        let held = signer();
        let known = [held.verifier(), service.verifier()];
        let before = if to_service { known[0] } else { known[1] };
        assert_eq!(checked(&log, &[before]).await, Ok(6), "{to_service}");
        assert_eq!(checked(&log, &known).await, Ok(6), "{to_service}");
    }
}
