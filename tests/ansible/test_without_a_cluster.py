"""Taking the cluster down, which comes last: it asks, and people's own things stay."""

from tests.ansible.site import Site

DAEMONS = {"ctl": ("slurmctld", "slurmdbd"), "node1": ("slurmd",), "node2": ("slurmd",)}


def active(site: Site) -> set[str]:
    return {
        f"{host}:{daemon}"
        for host, daemons in DAEMONS.items()
        for daemon in daemons
        if site.hosts.host(host).run("systemctl", "--quiet", "is-active", daemon).returncode == 0
    }


def test_without_a_yes_it_stays(site: Site) -> None:
    before = active(site)
    refused = site.play("teardown")
    assert (refused.status != 0, refused.changed) == (True, 0)
    assert "Nothing was changed" in refused.text
    assert active(site) == before != set()


def test_with_a_yes_daemons_and_configuration_go_and_homes_stay(site: Site) -> None:
    assert site.as_ada("echo mine > ~/kept").returncode == 0
    done = site.play("teardown", teardown_confirm="yes")
    assert done.status == 0, done.text[-3000:]
    assert active(site) == set()
    for host in ("ctl", "desk", "node1", "node2"):
        assert site.hosts.host(host).run("test", "-e", "/etc/slurm/slurm.conf").returncode != 0
    assert (site.hosts.shared / "home" / "ada" / "kept").read_text() == "mine\n"
    again = site.play("teardown", teardown_confirm="yes")
    assert (again.status, again.changed) == (0, 0), again.text[-3000:]
