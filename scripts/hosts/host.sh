#!/usr/bin/env bash
# Switches one host on, on the stage: its disk, what an installer would ask, its place in the control groups, then its own systemd.
# usage: host.sh TREE FOLDER ADDRESS KEY CGROUP OPTION...
set -euo pipefail
tree=$1 folder=$2 address=$3 key=$4 group=$5
shift 5

name=$(basename "$folder")
root=$folder/root
if ! mountpoint --quiet "$root"; then
    mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/disk,workdir=$folder/work" "$root"
fi
if [ ! -e "$root/etc/hostname" ]; then
    # As Debian's installer does, name and all: a host calls itself 127.0.1.1, and software for clusters stumbles over it.
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" > "$root/etc/hosts"
    printf '[Match]\nName=host0\n[Network]\nAddress=%s\n' "$address" > "$root/etc/systemd/network/10-host0.network"
    ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$root/etc/ssh/ssh_host_ed25519_key"
    install -D --owner 1000 --group 1000 --mode 600 "$key" "$root/home/admin/.ssh/authorized_keys"
    echo "$name" > "$root/etc/hostname"
fi
for place in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -e "$place/$group/cgroup.procs" ] || echo $$ > "$place/$group/cgroup.procs"
done
ip link delete "vb-$name" 2> /dev/null || true # of a host that was switched off a moment ago
# systemd of Debian 13 starts on control groups of version 1 only where it is told to.
exec systemd-nspawn --quiet --directory "$root" --machine "$name" --register no --keep-unit --network-bridge br0 \
    --resolv-conf off --timezone off --link-journal no --console pipe "$@" --boot SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
