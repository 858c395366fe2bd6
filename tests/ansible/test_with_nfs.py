"""The shared folder by NFS, as near as a kernel without it allows.

Debian's own tools read what the role writes. Two programs stand in for the kernel's part: one listens where `nfs.conf` says, and one
mounts, in place of the server's folder, the folder that all hosts have anyway.
"""

import pytest

from tests.ansible.site import Site
from tests.cluster.desk import until

FOLDER = "/nfs"
SERVER = """
[Unit]
Description=What listens in place of the kernel's NFS server
[Service]
ExecStart=/bin/sh -c 'exec python3 -m http.server --bind "$(nfsconf --get nfsd host)" 2049'
[Install]
WantedBy=multi-user.target
"""
# A mount by network, to systemd: it lets people in when all of those are there, and would wait for one that turns out local.
MOUNT = """#!/bin/sh
echo "$1 $2" > /run/asked-to-mount
exec mount {options} "$2"
"""
CLIENTS = ("desk", "node1", "node2")


@pytest.fixture(scope="module")
def stage(site: Site) -> Site:
    """Hosts on which NFS can be played."""
    write(site, "ctl", "/etc/systemd/system/nfs-server.service", SERVER)
    site.on("ctl", "sh", "-ec", f"mkdir -p {FOLDER}; mount --bind /shared {FOLDER}; systemctl daemon-reload")
    for host in CLIENTS:
        site.on(host, "apt-get", "install", "-qq", "--yes", "--no-install-recommends", "nfs-common")
        write(site, host, "/sbin/mount.nfs", MOUNT.format(options="--bind -o _netdev /shared"))
    return site


def write(site: Site, host: str, path: str, text: str) -> None:
    site.on(host, "sh", "-ec", 'printf "%s" "$1" > "$2"; chmod 755 "$2"', "sh", text, path)


def share(site: Site) -> tuple[int, int, str]:
    """Run the stage and return its status, how much it changed, and what it said."""
    played = site.play("shared", shared_source="controller", cluster_shared_folder=FOLDER)
    return played.status, played.changed, played.text[-3000:]


def test_hosts_mount_what_the_controller_exports_to_them_alone(stage: Site) -> None:
    status, changed, text = share(stage)
    assert (status, changed > 0) == (0, True), text
    exported = stage.on("ctl", "exportfs", "-s").splitlines()
    addresses = {stage.hosts.host(name).address for name in CLIENTS}
    assert {line.split()[1].partition("(")[0] for line in exported} == addresses
    assert all("no_root_squash" not in line for line in exported)
    for host in CLIENTS:
        where = stage.on(host, "cat", "/run/asked-to-mount").split()
        assert where in ([f"{name}:{FOLDER}", FOLDER] for name in ("ctl", stage.hosts.host("ctl").address))

    status, changed, text = share(stage)
    assert (status, changed) == (0, 0), text


def test_it_listens_in_the_clusters_network_alone_and_without_helpers(stage: Site) -> None:
    address = stage.hosts.host("ctl").address
    assert address_of(stage, "ctl", 2049) == {f"{address}:2049"}
    for host in ("ctl", *CLIENTS):
        programs = stage.on(
            host, "ss", "--no-header", "--tcp", "--udp", "--listening", "--numeric", "--processes"
        )
        assert "rpc" not in programs, programs


def address_of(site: Site, host: str, port: int) -> set[str]:
    sockets = site.on(host, "ss", "--no-header", "--tcp", "--listening", "--numeric").splitlines()
    return {line.split()[3] for line in sockets if line.split()[3].endswith(f":{port}")}


def test_it_is_mounted_again_at_every_boot(stage: Site) -> None:
    node = stage.hosts.host("node1")
    node.kill()
    stage.hosts.switch_on([node])
    until(lambda: node.run("mountpoint", FOLDER).returncode == 0, "the folder mounted")


def test_a_folder_that_is_not_the_same_everywhere_is_refused(stage: Site) -> None:
    write(stage, "node2", "/sbin/mount.nfs", MOUNT.format(options="-t tmpfs tmpfs"))
    stage.on("node2", "umount", FOLDER)
    status, _, text = share(stage)
    assert status != 0
    assert f"{FOLDER} on node2 is not the folder" in " ".join(text.split())
