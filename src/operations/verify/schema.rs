use jsonschema::Validator;
use serde_json::Value;

/// The schema that is published with the contract.
const SCHEMA: &str = include_str!("../../../docs/contract/audit-manifest.schema.json");
/// A document that is something else altogether breaks every rule.
const AT_MOST: usize = 5;

/// The manifest's schema, ready to be asked.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles it. Formats (UUIDs, times) are checked too; nothing is fetched from anywhere.
    ///
    /// # Panics
    /// Never: a test compiles the same text.
    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and tested"
    )]
    pub(crate) fn new() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let options = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .offline();
        Self(options.build(&schema).expect("the schema is a schema"))
    }

    /// What in a document is against the schema, by its place; without the values, which may be anybody's.
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
