use jsonschema::Validator;
use serde_json::Value;

/// The published schema.
const SCHEMA: &str = include_str!("../../../docs/contract/audit-manifest.schema.json");
/// The number of violations that are listed: a document of another kind violates nearly every rule.
const AT_MOST: usize = 5;

/// The compiled schema of manifests.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles the schema. It also checks formats (UUIDs, times), and fetches nothing.
    ///
    /// # Panics
    /// Never: the schema is part of the program, and a test compiles it.
    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and tested"
    )]
    pub(crate) fn new() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let options = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .offline();
        Self(options.build(&schema).expect("the schema is valid"))
    }

    /// The violations in a document, by place. The values are masked, because they may be personal data.
    pub(super) fn violations(&self, document: &Value) -> Vec<String> {
        let errors = self.0.iter_errors(document).take(AT_MOST);
        errors
            .map(|error| format!("{}: {}", error.instance_path(), error.masked()))
            .collect()
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self::new()
    }
}
