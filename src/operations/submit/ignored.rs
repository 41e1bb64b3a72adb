/// The number of names that are listed.
const NAMED: usize = 100;

/// The names of columns and members without a meaning. They are shown, because the author of the file may have meant
/// something by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ignored(pub(super) Vec<String>);

impl Ignored {
    pub(super) fn note(&mut self, name: &str) {
        if self.0.len() < NAMED {
            let name: String = name.chars().take(60).collect();
            let name = name.escape_debug().to_string();
            if !name.is_empty() && !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }
}
