"""A finished cluster: a second run finds nothing to do, only what is needed listens, secrets stay secret, and Ada runs a lab."""

import re
from pathlib import Path

import pytest

from tests.ansible import disks, image
from tests.ansible.site import Site

ALLOWED_TO_KNOW = {
    "munge.key": {"ctl:etc/munge/munge.key", "desk:etc/munge/munge.key", "node1:etc/munge/munge.key", "node2:etc/munge/munge.key"},
    "database.password": {"ctl:etc/slurm/slurmdbd.conf"},
}  # fmt: skip
OF_THE_DATABASE = "ctl:var/lib/mysql/"  # MariaDB keeps a hash; it may have the word itself in a page that it has not yet reused


def test_a_second_run_changes_nothing(site: Site) -> None:
    before = disks.fingerprint(site.hosts)
    again = site.play(site.whole)
    assert (again.status, again.changed) == (0, 0), again.text[-5000:]
    assert disks.differences(before, disks.fingerprint(site.hosts)) == []


def test_a_look_ahead_changes_nothing(site: Site) -> None:
    before = disks.fingerprint(site.hosts)
    seen = site.play(site.whole, "--check", "--diff")
    assert (seen.status, seen.changed) == (0, 0), seen.text[-5000:]
    assert disks.differences(before, disks.fingerprint(site.hosts)) == []


def test_nodes_work_and_are_counted(site: Site) -> None:
    assert site.nodes() == {"node1": "idle", "node2": "idle"}
    done = site.as_ada("srun --nodes 2 hostname | sort")
    assert done.stdout.split() == ["node1", "node2"], done.stderr


def test_a_report_says_what_is_there_and_changes_nothing(site: Site) -> None:
    said = site.play("report")
    assert (said.status, said.changed) == (0, 0), said.text[-3000:]
    for name in ("ctl", "desk", "node1", "node2"):
        assert f"{name}: debian-" in said.text, said.text[-3000:]
    assert "node1 idle" in said.text


@pytest.mark.parametrize("host", ["ctl", "desk", "node1", "node2"])
def test_only_what_is_needed_listens(site: Site, host: str) -> None:
    own = site.hosts.host(host).address
    needed = {"0.0.0.0:22", "[::]:22"}
    needed |= {"ctl": {f"{own}:6817", f"{own}:6819", "127.0.0.1:3306"}, "desk": set()}.get(
        host, {f"{own}:6818"}
    )
    sockets = site.on(host, "ss", "--no-header", "--tcp", "--udp", "--listening", "--numeric").splitlines()
    assert {line.split()[4] for line in sockets} == needed


def test_secrets_are_their_owners_alone(site: Site) -> None:
    assert site.on("ctl", "stat", "--format", "%a %U", "/etc/labs-cluster").split() == ["700", "root"]
    files = site.on("ctl", "find", "/etc/labs-cluster", "-type", "f").split()
    modes = {site.on("ctl", "stat", "--format", "%a %U", file).strip() for file in files}
    assert modes == {"400 root"}
    for host in ("ctl", "desk", "node1", "node2"):
        assert site.on(host, "stat", "--format", "%a %U", "/etc/munge/munge.key").split() == ["400", "munge"]
    assert site.on("ctl", "stat", "--format", "%a %U", "/etc/slurm/slurmdbd.conf").split() == ["600", "slurm"]


@pytest.mark.parametrize("name", ALLOWED_TO_KNOW)
def test_a_secret_stands_where_it_is_needed_and_nowhere_else(site: Site, name: str) -> None:
    secret = site.on("ctl", "cat", f"/etc/labs-cluster/{name}").strip()
    assert re.fullmatch(r"[A-Za-z0-9]{32,}", secret), "what is looked for is one word"
    assert not any(secret in played.text for played in site.said)
    known = {place for place in holders(site, secret) if not place.startswith(OF_THE_DATABASE)}
    assert known == {f"ctl:etc/labs-cluster/{name}", *ALLOWED_TO_KNOW[name]}


def holders(site: Site, secret: str) -> set[str]:
    """Return the files, on any disk, that hold a word."""
    tops = {host.name: host.folder / "disk" for host in site.hosts.all} | {
        "shared": site.hosts.shared / "home"
    }
    return {
        f"{name}:{path.relative_to(top)}"
        for name, top in tops.items()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    }


def test_ada_runs_a_lab_on_two_nodes(site: Site) -> None:
    site.needs_the_labs()
    done = site.as_ada("cd /shared/labs && make lab-43 NODES=2 SMOKE=1")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "slurm" in done.stderr
    ran = site.as_ada("cat ~/labs/runs/lab43/*/run.json || cat $LABS_HOME/runs/lab43/*/run.json")
    assert {"node1", "node2"} <= set(re.findall(r'"host": "(\w+)"', ran.stdout)), (
        ran.stdout[-2000:] + ran.stderr
    )


def test_nodes_have_what_runs_labs_in_an_image(site: Site) -> None:
    """The image is a stand-in of a few names; bubblewrap, the places for folders and the right to use them are the hosts' own."""
    site.needs_the_labs()
    mounts = "--ro-bind /shared/labs-image / --ro-bind /usr /usr --bind /shared/labs /shared/labs --tmpfs /shared/home --bind ~ ~"
    done = site.as_ada(
        f"srun --nodes 2 bwrap {mounts} /opt/venv/bin/python -c 'print(open(\"/shared/labs/versions.env\").readline())'"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split("\n\n")) == 3, "a line from each node"


def test_another_image_takes_the_name_and_jobs_keep_the_one_before(site: Site, tmp_path: Path) -> None:
    site.needs_the_labs()
    before = site.on("ctl", "readlink", "/shared/labs-image").strip()
    done = site.play("labs", labs_image=str(image.pack(tmp_path / "image.tar", "opt/new")))
    assert done.status == 0, done.text[-3000:]
    after = site.on("ctl", "readlink", "/shared/labs-image").strip()
    assert site.on("ctl", "ls", f"{before}/opt").split() == ["venv"]
    assert site.on("ctl", "ls", f"{after}/opt").split() == ["new", "venv"]
