use super::*;

#[derive(Debug, PartialEq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    users: Vec<String>,
    batch: Option<String>,
    #[serde(default, deserialize_with = "within::<1, 5, _>")]
    limit: Option<u64>,
    #[serde(default)]
    access: bool,
}

#[test]
fn a_flag_of_a_query_is_true_or_false_and_nothing_else() {
    let access = |query| from_query::<Asked>(query).map(|asked| asked.access);
    assert!(access("access=true").is_ok_and(|access| access));
    assert!(access("access=false").is_ok_and(|access| !access));
    assert!(access("").is_ok_and(|access| !access));
    for wrong in [
        "access=yes",
        "access=1",
        "access=",
        "access=true&access=true",
    ] {
        assert!(access(wrong).is_err(), "{wrong}");
    }
    // What is no flag stays a text.
    assert!(from_query::<Asked>("batch=true").is_ok());
}

#[test]
fn a_query_is_read_strictly() {
    let asked = |query| from_query::<Asked>(query).ok();
    let of = |users: &[&str], batch: Option<&str>, limit| {
        let users = users.iter().map(ToString::to_string).collect();
        Some(Asked {
            users,
            batch: batch.map(str::to_owned),
            limit,
            access: false,
        })
    };
    assert_eq!(asked(""), of(&[], None, None));
    assert_eq!(asked("users=7"), of(&["7"], None, None));
    assert_eq!(
        asked("users=a%20b&limit=5&users=c&batch=7"),
        of(&["a b", "c"], Some("7"), Some(5))
    );
    for wrong in [
        "limit=0",
        "limit=6",
        "limit=x",
        "limit=",
        "batch=a&batch=b",
        "limit=1&limit=2",
        "x=1",
    ] {
        assert_eq!(asked(wrong), None, "{wrong}");
    }
}

#[test]
fn any_declared_list_and_number_is_read_as_one() {
    #[derive(Debug, PartialEq, Deserialize, IntoParams)]
    #[serde(deny_unknown_fields)]
    struct New {
        #[serde(default)]
        steps: Vec<String>,
        #[serde(default, deserialize_with = "within::<1, 5, _>")]
        pages: Option<u64>,
    }

    let new = |steps: &[&str], pages| New {
        steps: steps.iter().map(ToString::to_string).collect(),
        pages,
    };
    let read = |query| from_query::<New>(query).ok();
    assert_eq!(read("steps=archive"), Some(new(&["archive"], None)));
    assert_eq!(
        read("steps=archive&pages=3&steps=7"),
        Some(new(&["archive", "7"], Some(3)))
    );

    let problem = from_query::<New>("pages=1&pages=2").unwrap_err();
    let problem = serde_json::to_value(problem).unwrap();
    assert_eq!(problem["detail"], "the query: pages is given twice");
}

#[tokio::test]
async fn a_change_without_who_or_why_is_refused_and_the_answer_says_what_to_do() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Signed {
        who: Line,
        why: Line,
    }

    let read_signed = async |body: &'static str| {
        let request = Request::builder().header("content-type", "application/json");
        let read = Body::<Signed>::from_request(request.body(body.into()).unwrap(), &()).await;
        read.map(|Body(signed)| [signed.who, signed.why].map(|line| line.0))
            .map_err(|problem| serde_json::to_value(problem).unwrap())
    };
    let signed = read_signed(r#"{"who":"ada","why":"case"}"#).await;
    assert_eq!(signed, Ok(["ada", "case"].map(str::to_owned)));
    for (body, what) in [
        ("", "`who` makes the change, and `why`"),
        (r#"{"who":"ada"}"#, "`who` makes the change, and `why`"),
        (r#"{"why":"case"}"#, "`who` makes the change, and `why`"),
        (r#"{"who":" ","why":"case"}"#, "not blank"),
        (r#"{"who":null,"why":"case"}"#, "`who`: null is not a text"),
        ("{\"who\":\"ada\",\"why\":\"\u{202e}x\"}", "bidirectional"),
        (r#"{"who":"ada","why":"\u001b[2J"}"#, "control"),
    ] {
        let problem = read_signed(body).await.unwrap_err();
        assert_eq!(problem["status"], 422, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(what),
            "{problem}"
        );
    }
}

#[test]
fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    let limit = |text: &str| {
        serde_json::from_str::<Asked>(&format!("{{\"limit\":{text}}}"))
            .ok()?
            .limit
    };
    assert_eq!(
        (limit("5"), limit("5.0"), limit("0.5e1")),
        (Some(5), Some(5), Some(5))
    );
    for wrong in ["0", "0.0", "4.5", "-1", "-1.0", "6.0", "1e300", "\"5\""] {
        assert_eq!(limit(wrong), None, "{wrong}");
    }
}

#[test]
fn a_line_has_an_end_and_no_control_characters() {
    let line = |text: &str| Line::try_from(text.to_owned()).is_ok();
    assert!(line("case 4711: „Löschung“") && line(&"ä".repeat(1000)));
    for wrong in ["", " ", "a\nb", "a\u{7f}", &"a".repeat(1001)]
        .into_iter()
        .chain(printable::ATTACKS)
    {
        assert!(!line(wrong), "{wrong:?}");
    }
}
