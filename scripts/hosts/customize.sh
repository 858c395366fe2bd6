#!/bin/sh
# What an installer does after the packages, in the tree that it is given: an administrator, a network, and no name or key of its own.
set -eu
tree=$1

chroot "$tree" useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' > "$tree/etc/sudoers.d/admin"
chmod 440 "$tree/etc/sudoers.d/admin"
chroot "$tree" systemctl --quiet enable systemd-networkd

# Nothing on these disks outlives the hosts: packages need not be waited for until they are on the platters.
echo force-unsafe-io > "$tree/etc/dpkg/dpkg.cfg.d/unsafe-io"

# Each host makes its own of these.
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/hostname" "$tree/etc/resolv.conf"
: > "$tree/etc/machine-id"

# A container may not write to control groups of version 1, and Slurm on a machine may.
cat > "$tree/etc/systemd/system/writable-cgroups.service" <<'UNIT'
[Unit]
Description=Control groups that may be written to, as on a machine
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for group in cpu cpuacct cpuset devices freezer memory; do \
    [ ! -d /sys/fs/cgroup/$group ] || mount -o remount,bind,rw /sys/fs/cgroup/$group; done'
[Install]
WantedBy=sysinit.target
UNIT
chroot "$tree" systemctl --quiet enable writable-cgroups

# Hosts get packages from where Ansible says.
rm -f "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/* "$tree"/etc/apt/apt.conf.d/99mmdebstrap
