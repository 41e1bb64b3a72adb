use super::*;

/// The key of the tests of golang.org/x/mod/sumdb/note.
const PRIVATE_KEY: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const VERIFIER_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn seed(text: &str) -> [u8; KEY_BYTES] {
    // The base64 of a key may have a plus, too.
    let bytes = STANDARD
        .decode(text.splitn(5, '+').last().unwrap())
        .unwrap();
    bytes[1..].try_into().unwrap()
}

#[test]
fn keys_have_the_form_of_go() {
    let name: KeyName = "PeterNeumann".parse().unwrap();
    let key = SigningKey::from_seed(name, seed(PRIVATE_KEY)).unwrap();
    assert_eq!(key.verifier().to_string(), VERIFIER_KEY);
    assert_eq!(key.to_secret_text(), PRIVATE_KEY);
}

#[test]
fn a_note_is_that_of_go_and_opens_only_as_it_was_signed() {
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    let key: SigningKey = PRIVATE_KEY.parse().unwrap();
    assert_eq!(key.sign(text).unwrap(), note);
    assert_eq!(key.verifier().open(&note), Some(text));

    let other = SigningKey::generate("PeterNeumann".parse().unwrap()).unwrap();
    assert_eq!(other.verifier().open(&note), None);
    let both = format!(
        "{note}{}",
        other.sign(text).unwrap().split("\n\n").nth(1).unwrap()
    );
    assert_eq!(key.verifier().open(&both), Some(text));
    for at in 0..note.len() {
        let mut changed = note.clone().into_bytes();
        changed[at] ^= 1;
        if let Ok(changed) = String::from_utf8(changed) {
            assert_eq!(key.verifier().open(&changed), None, "{at}");
        }
    }
}

#[test]
fn a_private_key_is_read_back_and_a_damaged_one_is_not_repeated() {
    for _ in 0..50 {
        let key = SigningKey::generate("example.com/log".parse().unwrap()).unwrap();
        let again: SigningKey = key.to_secret_text().parse().unwrap();
        assert_eq!(again.verifier(), key.verifier());
        assert!(!format!("{key:?}").contains(&encode(ED25519_NOTE, &key.seed)));
    }
    for at in 0..PRIVATE_KEY.len() {
        let mut changed = PRIVATE_KEY.to_owned();
        let other = if &changed[at..=at] == "x" { "y" } else { "x" };
        changed.replace_range(at..=at, other);
        let refused = changed.parse::<SigningKey>();
        let secret = PRIVATE_KEY.rsplit('+').next().unwrap();
        assert!(refused.is_err_and(|why| !why.contains(secret)), "{at}");
    }
}

#[test]
fn the_verifier_key_of_the_specification_has_its_id() {
    let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!(key.to_string(), text);
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
                Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    assert_eq!(key.open(note), Some("This is an example message.\n"));
    for odd in [
        "",
        "a+b",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ] {
        assert!(odd.parse::<VerifierKey>().is_err(), "{odd}");
    }
}

#[test]
fn a_cosignature_counts_only_for_what_was_cosigned_and_when() {
    let key = SigningKey::generate("witness.example/w1".parse().unwrap()).unwrap();
    let log = SigningKey::generate("example.com/log".parse().unwrap()).unwrap();
    let text = "example.com/log\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let note = [log.sign(text).unwrap(), key.cosign(1_790_000_000, text)].concat();
    let witness: WitnessKey = key.as_witness().to_string().parse().unwrap();
    assert_eq!(witness.cosigned_at(&note), Some(1_790_000_000));
    assert_eq!(log.verifier().open(&note), Some(text));

    assert_eq!(log.as_witness().cosigned_at(&note), None);
    let other = note.replace("\n3\n", "\n4\n");
    assert_eq!(witness.cosigned_at(&other), None);
    let plain = [log.sign(text).unwrap(), key.signature(text).unwrap()].concat();
    assert_eq!(witness.cosigned_at(&plain), None);
    assert!(key.verifier().to_string().parse::<WitnessKey>().is_err());
}

#[test]
fn no_two_keys_are_the_same() {
    let key = || SigningKey::generate("example.com/log".parse().unwrap()).unwrap();
    assert_ne!(key().to_secret_text(), key().to_secret_text());
}

#[test]
fn a_name_is_one_visible_word_without_a_plus() {
    for name in ["example.com/log", "a", "Löschprotokoll"] {
        assert!(name.parse::<KeyName>().is_ok(), "{name}");
    }
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\n", &"x".repeat(201)] {
        assert!(name.parse::<KeyName>().is_err(), "{name:?}");
    }
}
