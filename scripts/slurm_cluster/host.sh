#!/usr/bin/env bash
# The first process of one host of the test cluster: makes its own view of the machine, then stays and buries orphans.
# usage: host.sh CLUSTER_FOLDER NAME GPUS CGROUP_PARENT KEPT_PLACE...
set -euo pipefail
cluster=$1 name=$2 gpus=$3 parent=$4
own=$cluster/hosts/$name
shift 4

hostname "$name"
mount --make-rprivate /

# What is to be seen although its folder is about to be hidden: the labs, their Python, the machine's cgroups.
kept=0
for place; do
    kept=$((kept + 1))
    mkdir -p "$own/kept/$kept"
    mount --rbind "$place" "$own/kept/$kept"
done
if [ -n "$parent" ]; then
    for controller in /sys/fs/cgroup/*/"$parent"; do
        seen=$own/cgroup/$(basename "$(dirname "$controller")")
        mkdir -p "$seen"
        mount --bind "$controller" "$seen"
    done
fi

# Each host has its own of these, as real ones do; /home alone is shared.
for place in /tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs "$place"; done
for place in /root /run /var/spool /var/lib/mysql; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
mount --bind "$cluster/home" /home
mount --bind "$own/log" /var/log
number=0
for place; do
    number=$((number + 1))
    mkdir -p "$place"
    mount --rbind "$own/kept/$number" "$place"
done

mount -t sysfs sysfs /sys
if [ -n "$parent" ]; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    for seen in "$own"/cgroup/*; do
        mkdir "/sys/fs/cgroup/$(basename "$seen")"
        mount --bind "$seen" "/sys/fs/cgroup/$(basename "$seen")"
    done
fi

# The machine's own /etc would change under a running host with each package and user that the machine gets. The names of hosts
# and Slurm's files are one for all hosts, so that an administrator changes them once.
mount -t tmpfs -o mode=755 tmpfs /etc
cp -a "$cluster/etc/." /etc
[ ! -e /etc/hostname ] || echo "$name" > /etc/hostname
for shared in hosts slurm; do mount --bind "$cluster/etc/$shared" "/etc/$shared"; done
mkdir -p /run/munge /run/slurmdbd /var/spool/slurmd /var/spool/slurmctld
chown slurm: /run /run/slurmdbd /var/spool/slurmctld

# Devices that no driver answers for: enough for Slurm to count them, hand them out and refuse them.
mount -t tmpfs -o mode=755 tmpfs "$cluster/gpus"
for ((gpu = 0; gpu < gpus; gpu++)); do mknod -m 666 "$cluster/gpus/gpu$gpu" c 195 "$gpu"; done

ip link set lo up
touch "$own/ready"
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
