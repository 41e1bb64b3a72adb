//! Whom to trust: the keys of logs, and the witnesses of whom a quorum has to cosign a checkpoint, after c2sp.org/tlog-policy.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::signed_note::{VerifierKey, WitnessKey};

/// In place of a quorum.
const NONE: &str = "none";

/// The logs and witnesses that a person trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(super) logs: Vec<VerifierKey>,
    cosigners: BTreeMap<String, Cosigner>,
    /// `None`: no witness is needed.
    quorum: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cosigner {
    Witness(WitnessKey),
    /// At least this number of its members.
    Group(usize, Vec<String>),
}

impl Policy {
    /// That trusts these logs, and asks for no witness.
    pub(crate) const fn of_logs(logs: Vec<VerifierKey>) -> Self {
        Self {
            logs,
            cosigners: BTreeMap::new(),
            quorum: None,
        }
    }

    /// Whether enough witnesses cosigned the note.
    pub(super) fn has_quorum(&self, note: &str) -> bool {
        let quorum = self.quorum.as_ref();
        quorum.is_none_or(|name| self.has_cosigned(name, note))
    }

    pub(super) const fn asks_for_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    pub(super) fn witnesses(&self) -> impl Iterator<Item = &WitnessKey> {
        self.cosigners
            .values()
            .filter_map(|cosigner| match cosigner {
                Cosigner::Witness(key) => Some(key),
                Cosigner::Group(..) => None,
            })
    }

    fn has_cosigned(&self, name: &str, note: &str) -> bool {
        match self.cosigners.get(name) {
            Some(Cosigner::Witness(key)) => key.cosigned_at(note).is_some(),
            Some(Cosigner::Group(least, members)) => {
                let members = members.iter();
                members
                    .filter(|member| self.has_cosigned(member, note))
                    .count()
                    >= *least
            }
            None => false,
        }
    }
}

/// A policy while it is read.
#[derive(Default)]
struct Reading {
    logs: Vec<VerifierKey>,
    cosigners: BTreeMap<String, Cosigner>,
    /// Each name is a member once at most, so that nobody counts twice.
    members: BTreeSet<String>,
    quorum: Option<String>,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reading = Reading::default();
        for (number, line) in (1..).zip(text.split('\n')) {
            let words: Vec<&str> = line
                .split([' ', '\t'])
                .filter(|word| !word.is_empty())
                .collect();
            reading
                .line(&words)
                .map_err(|why| format!("line {number} {why}"))?;
        }
        if reading.logs.is_empty() {
            return Err("names no log; add a line `log KEY` with the verifier key".to_owned());
        }
        let quorum = reading.quorum.ok_or(
            "has no quorum; add `quorum NAME` with a witness or a group, or `quorum none`",
        )?;
        Ok(Self {
            logs: reading.logs,
            cosigners: reading.cosigners,
            quorum: Some(quorum).filter(|name| name != NONE),
        })
    }
}

impl Reading {
    /// What is wrong with a line, as it continues after its number.
    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            [] => Ok(()),
            [word, ..] if word.starts_with('#') => Ok(()),
            ["log", key] | ["log", key, _] => self.log(key.parse()?),
            ["witness", name, key] | ["witness", name, key, _] => self.witness(name, key.parse()?),
            ["group", name, least, members @ ..] => self.group(name, least, members),
            ["quorum", name] => self.quorum(name),
            _ => Err(
                "is none of `log KEY`, `witness NAME KEY`, `group NAME all|any|N NAME...`, `quorum NAME` and a comment"
                    .to_owned(),
            ),
        }
    }

    fn log(&mut self, key: VerifierKey) -> Result<(), String> {
        if self.logs.iter().any(|log| log.has_key_of(&key)) {
            return Err("repeats the key of a line before".to_owned());
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &str, key: WitnessKey) -> Result<(), String> {
        let is_known = |cosigner: &Cosigner| matches!(cosigner, Cosigner::Witness(known) if known.has_key_of(&key));
        if self.cosigners.values().any(is_known) {
            return Err("repeats the key of a line before".to_owned());
        }
        self.define(name, Cosigner::Witness(key))
    }

    fn group(&mut self, name: &str, least: &str, members: &[&str]) -> Result<(), String> {
        let least = match least {
            "all" => members.len(),
            "any" => 1,
            number => number
                .parse()
                .map_err(|_number| format!("has {number:?} in place of all, any or a number"))?,
        };
        if !(1..=members.len()).contains(&least) {
            return Err(format!("wants {least} of {} members", members.len()));
        }
        for member in members {
            if !self.cosigners.contains_key(*member) {
                return Err(format!("names {member}, which no line before defines"));
            }
            if !self.members.insert((*member).to_owned()) {
                return Err(format!("names {member}, which is a member already"));
            }
        }
        let members = members.iter().map(|member| (*member).to_owned());
        self.define(name, Cosigner::Group(least, members.collect()))
    }

    fn define(&mut self, name: &str, cosigner: Cosigner) -> Result<(), String> {
        if name == NONE || self.cosigners.contains_key(name) {
            return Err(format!("defines {name}, which is defined already"));
        }
        self.cosigners.insert(name.to_owned(), cosigner);
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("is a second quorum".to_owned());
        }
        if name != NONE && !self.cosigners.contains_key(name) {
            return Err(format!("names {name}, which no line before defines"));
        }
        self.quorum = Some(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed_note::SigningKey;

    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    fn witness(number: usize) -> SigningKey {
        let name = format!("witness.example/w{number}");
        SigningKey::generate(name.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_policy_names_logs_and_a_quorum() {
        let text = format!("# ours\n\n\t log  {KEY} https://example.com/foo \nquorum none\n");
        let policy: Policy = text.parse().unwrap();
        assert_eq!(policy, Policy::of_logs(vec![KEY.parse().unwrap()]));
        assert!(policy.has_quorum(""));
    }

    #[test]
    fn a_quorum_counts_the_witnesses_that_cosigned() {
        let keys: Vec<SigningKey> = (0..4).map(witness).collect();
        let mut text = format!("log {KEY}\n");
        for (number, key) in keys.iter().enumerate() {
            let line = format!("witness w{number} {} https://w.example\n", key.as_witness());
            text.push_str(&line);
        }
        let body = "example.com/foo\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let note = |cosigners: &[usize]| {
            let lines = cosigners.iter().map(|number| keys[*number].cosign(1, body));
            [vec![body.to_owned(), "\n".to_owned()], lines.collect()]
                .concat()
                .concat()
        };
        for (rest, enough, short) in [
            ("quorum w1\n", vec![1], vec![0, 2, 3]),
            ("group g any w0 w1\nquorum g\n", vec![1], vec![2, 3]),
            ("group g all w0 w1\nquorum g\n", vec![0, 1], vec![1, 2, 3]),
            (
                "group a 2 w0 w1 w2\ngroup b all a w3\nquorum b\n",
                vec![0, 2, 3],
                vec![0, 1, 2],
            ),
        ] {
            let policy: Policy = format!("{text}{rest}").parse().unwrap();
            assert_eq!(policy.witnesses().count(), 4);
            assert!(policy.has_quorum(&note(&enough)), "{rest}");
            assert!(!policy.has_quorum(&note(&short)), "{rest}");
            let other = note(&enough).replace("\n1\n", "\n2\n");
            assert!(!policy.has_quorum(&other), "{rest}");
        }
    }

    #[test]
    fn what_is_no_policy_is_refused_with_its_line() {
        let log = format!("log {KEY}\n");
        let key = witness(0).as_witness();
        let both = format!("{log}witness w {key}\n");
        for (text, says) in [
            (String::new(), "names no log"),
            ("quorum none\n".to_owned(), "names no log"),
            (log.clone(), "no quorum"),
            (format!("{log}{log}quorum none\n"), "line 2 repeats"),
            (
                format!("{log}quorum none\nquorum none\n"),
                "line 3 is a second",
            ),
            (format!("{log}witness w {KEY}\n"), "line 2 is no key"),
            (format!("{both}witness v {key}\n"), "line 3 repeats"),
            (format!("{log}witness none {key}\n"), "line 2 defines none"),
            (format!("{both}group w any w\n"), "line 3 defines w"),
            (format!("{both}group g 2 w\n"), "line 3 wants 2 of 1"),
            (format!("{both}group g any\n"), "line 3 wants 1 of 0"),
            (format!("{both}group g some w\n"), "in place of all"),
            (format!("{both}group g any v\n"), "line 3 names v"),
            (format!("{both}group g any w w\n"), "member already"),
            (format!("{log}quorum w\n"), "line 2 names w"),
            ("log x\nquorum none\n".to_owned(), "line 1"),
            (format!("{log}what\nquorum none\n"), "line 2 is none"),
        ] {
            let refused = text.parse::<Policy>().unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }
}
