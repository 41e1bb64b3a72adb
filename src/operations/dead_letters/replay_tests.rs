use super::*;

#[test]
fn a_canary_may_try_what_no_probe_can_show_and_nothing_else() {
    let may = |safety, canary, anyway| {
        may_go(
            &Assessment {
                safety,
                why: String::new(),
            },
            canary,
            anyway,
        )
    };
    for safety in [ReplaySafety::LeftOver, ReplaySafety::Safe] {
        assert!(may(safety, false, false));
    }
    for safety in [ReplaySafety::Unproven, ReplaySafety::CameBack] {
        assert!(!may(safety, false, false) && may(safety, true, false));
    }
    for safety in [ReplaySafety::Answered, ReplaySafety::NotYet] {
        assert!(!may(safety, true, false) && may(safety, false, true));
    }
}
