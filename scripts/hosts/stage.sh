#!/usr/bin/env bash
# The stage that all hosts stand on: namespaces in which their bridge, their disks and their processes live, and end with this one.
# usage: stage.sh FOLDER ADDRESS
set -euo pipefail
folder=$1 address=$2

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
ip link add br0 type bridge
ip addr add "$address" dev br0
ip link set br0 up
touch "$folder/ready"
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
