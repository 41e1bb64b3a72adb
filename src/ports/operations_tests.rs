use super::*;

#[test]
fn an_id_has_one_spelling_and_the_time_of_its_operation() {
    let id = OperationId::new();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!(
        id.to_string()
            .to_uppercase()
            .parse::<OperationId>()
            .is_err()
    );
    assert!(Uuid::new_v4().to_string().parse::<OperationId>().is_err());
    assert!(OperationId::new() > id);
    assert!(id.at() > "2026-01-01T00:00:00Z".parse().unwrap());
}
