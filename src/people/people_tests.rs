//! Reading, changing and asking a people file.

use super::*;

const ADA: &str = "offboarder_ada-ada-ada-ada-ada-ada-ada-ada-ada";
const BOB: &str = "offboarder_bob-bob-bob-bob-bob-bob-bob-bob-bob";

fn person(name: &str, role: Role, key: &str) -> Person {
    Person {
        key: Some(KeyDigest::of(key)),
        ..Person::keyless(name, role)
    }
}

fn both(format: Format) -> String {
    let start = match format {
        Format::Json => r#"{"people": []}"#,
        Format::Toml => "",
    };
    let one = People::add(start, format, &person("ada", Role::Operator, ADA)).unwrap();
    People::add(&one, format, &person("bob@example.com", Role::Admin, BOB)).unwrap()
}

fn faults(text: &str) -> String {
    People::parse(text).unwrap_err().to_string()
}

#[test]
fn json_and_toml_say_the_same_people() {
    let people = People::parse(&both(Format::Json)).unwrap();
    assert_eq!(people, People::parse(&both(Format::Toml)).unwrap());
    assert_eq!(people.counts(), "2 people: 1 operator, 1 admin");
    assert_eq!(Format::of(&both(Format::Json)), Format::Json);
    assert_eq!(Format::of(&both(Format::Toml)), Format::Toml);
    let marked = format!("\u{feff}{}", both(Format::Json));
    assert_eq!(People::parse(&marked).unwrap(), people);
    for nobody in ["", "# nobody yet\n", r#"{"people": []}"#] {
        assert_eq!(People::parse(nobody).unwrap().counts(), "nobody");
    }
}

#[test]
fn a_key_finds_its_person_and_no_other_text_does() {
    let people = People::parse(&both(Format::Toml)).unwrap();
    assert_eq!(people.with_key(ADA).unwrap().name, "ada");
    assert_eq!(people.with_key(BOB).unwrap().role, Role::Admin);
    let digest = KeyDigest::of(ADA).hex();
    for other in ["", "offboarder_", &ADA[1..], &format!("{ADA} "), &digest] {
        assert_eq!(people.with_key(other), None, "{other}");
    }
    // A digest of a short key is never matched: it can be guessed.
    let short = format!(
        r#"{{"people": [{{"name": "eve", "role": "admin", "key_sha256": "{}"}}]}}"#,
        KeyDigest::of("hunter2").hex()
    );
    let short = People::parse(&short).unwrap();
    assert_eq!(short.with_key("hunter2"), None);
    assert_eq!(people.named("ADA").unwrap().name, "ada");
}

#[test]
fn all_faults_are_reported_at_once_with_their_lines() {
    let digest = KeyDigest::of(ADA).hex();
    let toml = format!(
        "[[people]]\nname = 'ada'\nrole = 'king'\nkey_sha256 = 'x'\n\n[[people]]\nname = 'a b'\ntenants = ['x']\n\n\
         [[people]]\nname = 'bob'\nrole = 'reader'\nkey_sha256 = '{digest}'\n[[people]]\nname = 'BOB'\nrole = 'reader'\nkey_sha256 = '{digest}'\n"
    );
    let text = faults(&toml);
    for fault in [
        "line 3: role is none of reader",
        "line 4: key_sha256 has to be the SHA-256",
        "line 7: name has to be 1 to 64",
        "line 8: a person has name, role, key_sha256 and",
        "line 6: a person without role",
        "line 14: BOB is there twice",
        "line 14: BOB has a key that is there already",
    ] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
    assert_eq!(text.matches("line ").count(), 7, "{text}");

    let json = "{\"people\": [\n  {\"name\": \"ada\",\n   \"role\": 7},\n  {\"role\": \"reader\", \"role\": \"admin\"},\n  9\n]}";
    assert!(faults(json).contains("line 5: a person is an object"));
    let text = faults(&json.replace(",\n  9", ""));
    for fault in [
        "line 3: role has to be text",
        "line 4: this member is there twice",
        "line 4: a person without name",
    ] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
}

#[test]
fn a_file_that_is_cut_or_odd_is_refused_and_its_text_is_not_repeated() {
    let secret = "offboarder_pasted-by-mistake-pasted-by-mistake";
    for odd in [
        format!("{{\"people\": [\n{{\"name\": {secret}"),
        format!("[[people]]\nname = {secret}"),
        format!("[[people]]\nname = \"ada\"\nrole = \"reader\"\nkey_sha256 = \"{secret}\"\n"),
        format!("[[people]]\n{secret} = 1\n"),
        format!("people = \"{secret}\""),
        "{\"people\": [], \"x\": 1}".to_owned(),
        "{}".to_owned(),
        "[person]\n".to_owned(),
        "ada operator\n".to_owned(),
    ] {
        let text = faults(&odd);
        assert!(text.contains("line ") && !text.contains(secret), "{text}");
    }
    let whole = both(Format::Json);
    for cut in 1..whole.trim_end().len() {
        assert!(People::parse(&whole[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn a_change_leaves_comments_and_other_people_as_they_are() {
    let text = format!("# ours\n\n{}# of bob\n", both(Format::Toml)).replacen(
        "[[people]]\nname = \"bob",
        "# head of it\n[[people]]\nname = \"bob",
        1,
    );
    let gone = People::remove(&text, Format::Toml, "ADA").unwrap();
    assert!(
        gone.starts_with("# ours\n") && gone.contains("# head of it"),
        "{gone}"
    );
    assert_eq!(People::parse(&gone).unwrap().counts(), "1 person: 1 admin");
    let gone = People::remove(&text, Format::Toml, "bob@example.com").unwrap();
    assert_eq!(
        People::parse(&gone).unwrap().counts(),
        "1 person: 1 operator"
    );
    for format in [Format::Json, Format::Toml] {
        let changed = People::add(&both(format), format, &person("Ada", Role::Reader, BOB));
        assert!(changed.is_err(), "the key is another person's");
        let changed = People::add(&both(format), format, &person("Ada", Role::Reader, ADA));
        let people = People::parse(&changed.unwrap()).unwrap();
        assert_eq!(people.counts(), "2 people: 1 reader, 1 admin");
        let none = People::remove(&both(format), format, "eve").unwrap();
        assert_eq!(People::parse(&none), People::parse(&both(format)));
    }
    // Written in another way, it is not changed, and said so.
    let inline = "people = [{ name = 'ada', role = 'reader' }]\n";
    let refused = People::add(inline, Format::Toml, &person("bob", Role::Reader, BOB));
    assert!(refused.unwrap_err().contains("cannot change"));
}

#[test]
fn a_person_without_a_key_is_signed_in_by_a_proxy_alone() {
    let ada = Person {
        key: None,
        ..person("ada@example.com", Role::Approver, ADA)
    };
    for (format, start) in [(Format::Json, r#"{"people": []}"#), (Format::Toml, "")] {
        let people = People::parse(&People::add(start, format, &ada).unwrap()).unwrap();
        assert_eq!(people.named("ada@example.com"), Some(&ada));
        assert_eq!(people.with_key(ADA), None);
    }
}

#[test]
fn the_roles_permit_what_is_promised() {
    use Permission::{Approve, Discard, Hold, LiftHold, Look, LookBodies, Pause, Replay, Submit};
    for (role, permits) in [
        (Role::Reader, &[Look][..]),
        (Role::Auditor, &[Look, LookBodies]),
        (Role::Operator, &[Look, Pause, Replay, Hold, Submit]),
        (Role::Approver, &[Look, LookBodies, Approve]),
        (Role::Admin, &Permission::ALL),
    ] {
        assert_eq!(role.permissions(), permits);
        assert_eq!(role.as_str().parse::<Role>(), Ok(role));
    }
    assert!(!Role::Operator.may(Discard) && !Role::Operator.may(LiftHold));
    assert_eq!(
        Role::Operator.refusal(LiftHold),
        "You may not lift holds: that needs the permission lift_hold; your role is operator"
    );
}

#[test]
fn a_second_key_of_an_admin_breaks_the_glass_and_signs_nobody_in() {
    let ada = Person {
        break_glass_key: Some(KeyDigest::of(BOB)),
        ..person("ada", Role::Admin, ADA)
    };
    for (format, start) in [(Format::Json, r#"{"people": []}"#), (Format::Toml, "")] {
        let text = People::add(start, format, &ada).unwrap();
        let people = People::parse(&text).unwrap();
        assert_eq!(people.named("ada"), Some(&ada));
        assert!(people.breaks_glass("ada", BOB) && people.breaks_glass("ADA", BOB));
        assert!(!people.breaks_glass("ada", ADA) && !people.breaks_glass("bob", BOB));
        assert!(!people.breaks_glass("ada", "short"));
        assert_eq!(people.with_key(BOB), None);
        let lesser = text.replace("admin", "approver");
        assert!(faults(&lesser).contains("only an admin"));
        let same = text.replace(&KeyDigest::of(BOB).hex(), &KeyDigest::of(ADA).hex());
        assert!(faults(&same).contains("there already"));
    }
}
