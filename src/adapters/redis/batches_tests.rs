use super::*;

#[test]
fn a_summary_that_is_damaged_or_of_another_version_does_not_count() {
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let good = r#"{"s":"Received","u":0}"#;
    assert!(matches!(
        summary(&(bytes("7"), bytes(&format!("7 {good}")))),
        Some(Record::Summary(_))
    ));
    assert_eq!(summary(&(None, bytes("7 {}"))), Some(Record::Nothing));

    for sum in [
        "",
        "7",
        "7 ",
        "6 {}",
        "7 {",
        "7 []",
        "7 null",
        r#"7 {"s":"Gone","u":0}"#,
        r#"7 {"s":"Received","u":1e99}"#,
    ] {
        assert_eq!(summary(&(bytes("7"), bytes(sum))), None, "{sum}");
    }
    assert_eq!(
        summary(&(bytes("7"), Some(vec![b'7', b' ', 0xff, 0]))),
        None
    );
    assert_eq!(summary(&(bytes("\u{0}"), bytes(good))), None);
}

#[test]
fn a_score_that_is_not_a_time_counts_as_1970() {
    for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
        assert_eq!(time(score), Timestamp::UNIX_EPOCH, "{score}");
    }
    assert_eq!(time(1500.0).as_millisecond(), 1500);
}
