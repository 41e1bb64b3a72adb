//! What somebody else does to stored objects.

use serde_json::Value;

use super::helper::Helper;
use super::world::World;

/// One verb of `objects.py`, at the place's own prefix.
pub(crate) fn objects(world: &World, arguments: &[&str]) -> Value {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    Helper::new("objects.py")
        .arg(archive)
        .args(arguments)
        .envs(world.aws_settings())
        .answer("")
}
