"""What a cluster lives through: nodes that come and go while somebody works, and a power cut."""

from tests.ansible.site import Site
from tests.cluster.desk import until

SOON_S = 300.0  # a guard against hangs: hosts boot, on a busy machine too


def test_a_node_comes_and_goes_while_a_job_runs_elsewhere(site: Site) -> None:
    site.needs_the_labs()
    job = site.submit("sleep 900", "--nodelist=node1")
    until(lambda: site.state(job) == "RUNNING", "the job running")
    began = of_job(site, job)
    site.add_node("node3")
    added = site.play("add-node", cluster_node="node3")
    assert added.status == 0, added.text[-3000:]
    until(lambda: site.nodes().get("node3") == "idle", "the new node idle", SOON_S)
    assert site.as_ada("srun --nodelist node3 hostname").stdout.split() == ["node3"]

    removed = site.play("remove-node", cluster_node="node3")
    assert removed.status == 0, removed.text[-3000:]
    assert "node3" not in site.nodes()
    site.drop_node("node3")
    assert of_job(site, job) == began, "the job ran on, and was not begun anew"
    site.on("ctl", "scancel", job)


def of_job(site: Site, job: str) -> dict[str, str]:
    """Return what would differ if a job had been touched."""
    words = site.on("ctl", "scontrol", "show", "job", "--oneliner", job).split()
    facts = dict(word.split("=", 1) for word in words if "=" in word)
    return {name: facts[name] for name in ("JobState", "Restarts", "StartTime", "NodeList")}


def test_after_a_power_cut_all_is_back_with_its_history(site: Site) -> None:
    job = site.submit("true")
    until(lambda: site.state(job) == "COMPLETED", "the job done", SOON_S)
    site.hosts.power_cycle()
    until(
        lambda: answers(site) and set(site.nodes().values()) == {"idle"},
        "idle nodes",
        SOON_S,
        lambda: str(answers(site) and site.nodes()),
    )
    assert site.state(job) == "COMPLETED"
    assert sorted(site.as_ada("srun --nodes 2 hostname").stdout.split()) == ["node1", "node2"]


def answers(site: Site) -> bool:
    """Tell whether Slurm's controller is there again."""
    return site.hosts.host("ctl").run("scontrol", "ping").returncode == 0
