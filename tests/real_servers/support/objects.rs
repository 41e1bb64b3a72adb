//! What somebody else does to stored objects.

use serde_json::Value;

use super::process::{answer, python};
use super::world::World;

/// One verb of `objects.py`, at the place's own prefix.
pub(crate) fn objects(world: &World, arguments: &[&str]) -> Value {
    let mut command = python("objects.py");
    command.arg(world.setting("OFFBOARDER_ARCHIVE_URL")).args(arguments).envs(world.aws_settings());
    answer(command, "")
}
