#!/usr/bin/env bash
# Becomes a command in another root directory, such as that of another Debian, with the directory SHARED, the processes
# and the network of here. It mounts, so it wants a mount namespace of its own, and root:
#   unshare --mount within.sh ROOT SHARED COMMAND...
set -euo pipefail

root=$(cd "$1" && pwd) shared=$2
shift 2
# What is made below /tmp for SHARED vanishes with the namespace.
mount -t tmpfs tmpfs "$root/tmp"
for directory in /proc /dev "$shared"; do
    mkdir -p "$root$directory"
    mount --rbind "$directory" "$root$directory"
done
[[ $PWD/ == "$shared"/* ]] || cd "$shared"
exec chroot "$root" /usr/bin/env -C "$PWD" "$@"
