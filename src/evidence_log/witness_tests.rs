//! Witnesses, keys that are replaced, and checkpoints that somebody kept: what they find that the log alone does not show.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use parking_lot::Mutex;

use super::step::Checkpoint;
use super::tree::Hash;
use super::tree::tests::is_consistent;
use super::writer_tests::{Log, signer};
use super::{Cosigner, Erased, LogReport, Policy, Writer, check_log, last_checkpoint};
use crate::ports::{Witness, WitnessAnswer};
use crate::signed_note::{SigningKey, SigningKeys, VerifierKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A witness after c2sp.org/tlog-witness, in memory.
struct InMemory {
    key: SigningKey,
    log: VerifierKey,
    last: Mutex<Option<(u64, Hash)>>,
    is_away: Mutex<bool>,
    asked: Mutex<u32>,
}

impl InMemory {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: SigningKey::generate("witness.example/w".parse().unwrap()).unwrap(),
            log: signer().verifier().clone(),
            last: Mutex::default(),
            is_away: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn cosigner(self: &Arc<Self>) -> Cosigner {
        let witness: Arc<dyn Witness> = Arc::clone(self) as _;
        Cosigner::new(self.key.as_witness(), witness)
    }

    fn policy(&self) -> Policy {
        let key = self.key.as_witness();
        let text = format!("log {}\nwitness w {key}\nquorum w\n", self.log);
        text.parse().unwrap()
    }

    fn size(&self) -> u64 {
        self.last.lock().map_or(0, |last| last.0)
    }
}

#[async_trait]
impl Witness for InMemory {
    async fn add_checkpoint(&self, body: String) -> Result<WitnessAnswer, String> {
        *self.asked.lock() += 1;
        if *self.is_away.lock() {
            return Err("no answer".to_owned());
        }
        let parts = body.split_once("\n\n").unwrap();
        let mut lines = parts.0.lines();
        let old: u64 = lines
            .next()
            .unwrap()
            .strip_prefix("old ")
            .unwrap()
            .parse()
            .unwrap();
        let proof: Vec<Hash> = lines
            .map(|line| STANDARD.decode(line).unwrap().try_into().unwrap())
            .collect();
        let new = Checkpoint::open(parts.1, &self.log).unwrap();
        let mut last = self.last.lock();
        let known = last.unwrap_or_default();
        if old != known.0 {
            return Ok(WitnessAnswer::Has(known.0));
        }
        let follows = match old {
            0 => proof.is_empty(),
            same if same == new.size => known.1 == new.root,
            _ => is_consistent(old, new.size, [known.1, new.root], &proof),
        };
        if !follows {
            return Ok(WitnessAnswer::Contradicts);
        }
        *last = Some((new.size, new.root));
        let text = self.log.open(parts.1).unwrap();
        Ok(WitnessAnswer::Cosigned(
            self.key.cosign(1_790_000_000, text),
        ))
    }
}

/// A log of which each step has one record.
async fn steps(log: &Log, writer: &mut Writer, numbers: std::ops::Range<usize>) {
    for number in numbers {
        log.put(&format!("_act_{number}.json"), "{}").await;
        assert!(log.write(writer).await > 0, "{number}");
    }
}

async fn check(log: &Log, policy: &Policy, kept: &[String]) -> LogReport {
    let now = log.clock.now() + SignedDuration::from_hours(1);
    check_log(&*log.store(), policy, kept, &Erased::new(), now)
        .await
        .unwrap()
}

fn texts(report: &LogReport) -> Vec<&str> {
    let findings = report.findings.iter();
    findings.map(|finding| finding.text.as_str()).collect()
}

async fn checkpoint(log: &Log) -> String {
    let keys = [signer().verifier().clone()];
    let checkpoint = last_checkpoint(&*log.store(), &keys).await.unwrap();
    checkpoint.unwrap()
}

#[tokio::test]
async fn every_step_is_cosigned_also_those_after_a_witness_was_away() {
    let log = Log::new();
    let witness = InMemory::new();
    let mut writer = log.writer("w-1").with_witnesses(vec![witness.cosigner()]);
    let mut other = log.writer("w-2").with_witnesses(vec![witness.cosigner()]);
    let none = check(&log, &witness.policy(), &[]).await;
    assert!(texts(&none).contains(&"there is no log that this key signed"));

    for round in 0..12 {
        // It is away for 0, 1, 2, ... steps.
        for step in 0..=round {
            *witness.is_away.lock() = step < round;
            let number = 100 * round + step;
            steps(&log, &mut writer, number..number + 1).await;
            writer.write().await.unwrap();
        }
        let report = check(&log, &witness.policy(), &[]).await;
        assert_eq!(texts(&report), Vec::<&str>::new(), "{round}");
        assert_eq!(report.witnesses[0].leaves, Some(report.leaves), "{round}");
        assert_eq!(witness.size(), report.leaves);
        assert_eq!(writer.witnesses_behind(), 0);
    }
    // What one worker had cosigned the other asks for once, and then not again.
    other.write().await.unwrap();
    let asked = *witness.asked.lock();
    steps(&log, &mut writer, 9000..9003).await;
    writer.write().await.unwrap();
    other.write().await.unwrap();
    assert_eq!(*witness.asked.lock() - asked, 3);

    let last = checkpoint(&log).await;
    assert!(witness.policy().has_quorum(&last), "{last}");
}

#[tokio::test]
async fn a_log_that_was_cut_off_or_written_again_is_not_continued_past_its_witness() {
    for is_written_again in [false, true] {
        let log = Log::new();
        let witness = InMemory::new();
        let mut writer = log.writer("w-1").with_witnesses(vec![witness.cosigner()]);
        steps(&log, &mut writer, 0..5).await;
        writer.write().await.unwrap();
        let kept = checkpoint(&log).await;
        let keep = |name: &str| std::fs::remove_file(log.path(name)).unwrap();
        for number in 3..=5 {
            keep(&format!("_log_step_{number}.json"));
        }
        let report = check(&log, &witness.policy(), &[]).await;
        let missing =
            "this step is missing, and a witness has seen it: the log was cut off at its end";
        assert_eq!(texts(&report)[..2], [missing; 2], "{report:?}");
        // Who can remove steps can remove cosignatures, too. The witness remembers.
        for entry in std::fs::read_dir(log.path("")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if ["_log_cosignature_4", "_log_cosignature_5", "_log_inbox_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                keep(&name);
            }
        }
        if is_written_again {
            steps(&log, &mut log.writer("thief"), 70..77).await;
        }
        let mut next = log.writer("w-2").with_witnesses(vec![witness.cosigner()]);
        log.put("_act_99.json", "{}").await;
        log.wait(2);
        let refused = next.write().await.unwrap_err().text;
        let report = check(&log, &witness.policy(), &[kept]).await;
        let found = texts(&report).join("\n");
        let says = if is_written_again {
            ["another evidence log", "another history"]
        } else {
            ["has seen 10 leaves", "a checkpoint from elsewhere 10"]
        };
        assert!(refused.contains(says[0]), "{refused}");
        assert!(found.contains(says[1]), "{found}");
        assert_eq!(
            log.write(&mut log.writer("no witness")).await,
            1,
            "it is on again without it"
        );
    }
}

#[tokio::test]
async fn a_second_history_has_no_quorum_and_is_not_that_of_a_kept_checkpoint() {
    let [shown, ours] = [Log::new(), Log::new()];
    let witness = InMemory::new();
    let mut writer = ours.writer("w").with_witnesses(vec![witness.cosigner()]);
    steps(&ours, &mut writer, 0..3).await;
    writer.write().await.unwrap();
    steps(&shown, &mut shown.writer("w"), 10..13).await;

    let kept = checkpoint(&ours).await;
    let report = check(&shown, &witness.policy(), &[kept]).await;
    let found = texts(&report).join("\n");
    assert!(found.contains("no checkpoint has the quorum"), "{found}");
    assert!(found.contains("another history"), "{found}");
    let of_stranger = SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
    let note = of_stranger.sign("PeterNeumann\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
    let report = check(&ours, &witness.policy(), &[note.unwrap()]).await;
    assert!(
        texts(&report)
            .join("")
            .contains("not signed by a key of the log")
    );
}

#[tokio::test]
async fn a_key_is_replaced_while_the_log_goes_its_way() {
    let log = Log::new();
    let new = SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
    let keys = |text: String| -> SigningKeys { text.parse().unwrap() };
    let old_only = || SigningKeys::from(signer());
    let both = || {
        keys(format!(
            "{}\n{}\n",
            new.to_secret_text(),
            signer().to_secret_text()
        ))
    };
    let new_only = || keys(format!("{}\n", new.to_secret_text()));
    for (round, keys) in [old_only(), both(), new_only()].into_iter().enumerate() {
        // Each worker is restarted, so it begins with what it reads; both keys are kept for an hour.
        log.wait(60);
        for step in 0..3 {
            let number = 10 * round + step;
            steps(
                &log,
                &mut log.writer_with(keys.clone(), "w"),
                number..number + 1,
            )
            .await;
        }
    }
    let verifiers = [signer().verifier().clone(), new.verifier().clone()];
    for known in [vec![0], vec![0, 1], vec![1, 0]] {
        let known = known.into_iter().map(|number| verifiers[number].clone());
        let report = check(&log, &Policy::of_logs(known.collect()), &[]).await;
        assert_eq!(texts(&report), Vec::<&str>::new());
        assert_eq!(report.records, 9);
    }
    // Who stole the old key, after it was replaced.
    let mut thief = log.writer_with(old_only(), "thief");
    steps(&log, &mut thief, 90..91).await;
    let report = check(&log, &Policy::of_logs(verifiers.to_vec()), &[]).await;
    let found = texts(&report).join("\n");
    assert!(
        found.contains("not signed by the key of the log"),
        "{found}"
    );
}

#[test]
fn the_keys_of_a_file_are_one_or_two_of_the_same_log() {
    let new = SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
    let other = SigningKey::generate("other".parse().unwrap()).unwrap();
    let line = |key: &SigningKey| format!("{}\n", key.to_secret_text());
    let both: SigningKeys = [line(&new), line(&signer())].concat().parse().unwrap();
    let verifiers: Vec<&VerifierKey> = both.verifiers().collect();
    assert_eq!(verifiers, [new.verifier(), signer().verifier()]);
    for (text, says) in [
        (String::new(), "no private key"),
        ([line(&new), "x".to_owned()].concat(), "no private key"),
        ([line(&new), line(&other)].concat(), "of two logs"),
        (
            [line(&new), line(&new), line(&new)].concat(),
            "more than two",
        ),
    ] {
        let refused = text.parse::<SigningKeys>().unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}
