use super::super::compose_documents;
use super::finding::Finding;
use crate::config::Settings;
use crate::people::{People, Permission};

const CHECK: &str = "people file";

/// Checks whether the people file can be read, and counts the people.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let register = match compose_documents::people(settings).await {
        Ok(None) => return Vec::new(),
        Ok(Some(register)) => register,
        Err(error) => return vec![Finding::bad(CHECK, error.to_string(), "fix the setting")],
    };
    vec![match register.load().await {
        Ok(people) => counted(&people),
        Err(failure) => Finding::failed(CHECK, failure),
    }]
}

fn counted(people: &People) -> Finding {
    if people.count_of(Permission::People) > 0 {
        return Finding::good(CHECK, people.counts());
    }
    Finding::warning(
        CHECK,
        format!("{}: nobody may add or remove people", people.counts()),
        "add an admin: `offboarder people add NAME --role admin`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_without_an_admin_are_a_warning() {
        let people = |role| People::parse(&format!("[[people]]\nname = 'ada'\nrole = '{role}'\n"));
        assert!(counted(&people("operator").unwrap()).warning);
        let good = counted(&people("admin").unwrap());
        assert!(!good.warning && good.ok);
        assert_eq!(good.detail, "1 person: 1 admin");
    }
}
