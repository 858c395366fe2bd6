"""What is sent, in which order, and what is said where a server does not take it."""

import base64
from pathlib import Path
from typing import Any

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes import manifest, rules
from labs.launch.kubernetes.api import connected
from tests.k8s.conftest import Stage
from tests.k8s.replay import Faults


def test_the_order_the_owner_and_the_secret(stage: Stage) -> None:
    stage.serve("ok-lab43")
    told = stage.run()
    made = [
        (path.rsplit("/", 1)[1], body) for path, body in told.asked("POST") if "/namespaces/workshop/" in path
    ]
    assert [plural for plural, _ in made] == ["secrets", "services", "jobs"]
    owned = {path.split("/")[-2]: body for path, body in told.asked("PATCH")}
    assert set(owned) == {"secrets", "services"}
    for body in owned.values():
        (owner,) = body["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner.get("blockOwnerDeletion")) == ("Job", "lab43-7f3a", None)
    assert len(base64.b64decode(made[0][1]["data"]["secret"])) == 32
    assert made[0][1]["data"]["secret"] not in str(made[1:]) + told.out + told.err


def test_what_is_sent_is_what_a_dry_run_shows(stage: Stage) -> None:
    server = stage.serve("ok-lab43")
    told = stage.run(memory="5G", time="7")
    sent = [body for path, body in told.asked("POST") if path.endswith(("/services", "/jobs"))]
    rules.check(sent)
    as_shown = manifest.documents(stage.spec(memory="5G", time="7"), "lab43-7f3a", server.tape.nonce)
    assert sent == as_shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"completionz": 2}, "spec.completionz: Extra inputs are not permitted"),
        ({"ttlSecondsAfterFinished": -1}, "ttlSecondsAfterFinished is less than 0"),
    ],
    ids=["a field that no schema has", "a rule that no schema knows"],
)
def test_what_would_be_refused_is_told_before_anything_is_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: dict[str, int], said: str
) -> None:
    documents = manifest.documents

    def broken(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
        made = documents(*arguments, **options)
        made[-1]["spec"] |= change
        return made

    server = stage.serve("ok-lab43")
    monkeypatch.setattr(manifest, "documents", broken)
    with pytest.raises(UsageError, match=said):
        stage.run()
    assert [path for how, path, _ in server.tape.asked if how == "POST" and "/namespaces/" in path] == []


def test_no_secret_without_the_right_to_make_one_and_that_is_said(stage: Stage) -> None:
    server = stage.serve("ok-lab43", faults=Faults(answers={"post secrets": [403]}))
    server.forbidden_message = 'secrets is forbidden: User "ada" cannot create resource "secrets"'
    told = stage.run()
    assert told.status == 0
    assert "ask for the right to create, patch and delete secrets" in told.err
    volumes = server.tape.job["spec"]["template"]["spec"]["volumes"]
    assert "downwardAPI" in next(volume for volume in volumes if volume["name"] == "secret")


@pytest.mark.parametrize("what", ["create jobs", "get pods"])
def test_a_right_that_is_missing_is_named_before_anything_is_sent(stage: Stage, what: str) -> None:
    stage.serve("ok-lab43").forbidden = {what}
    with pytest.raises(
        UsageError, match=rf"you may not {what}\S* in the namespace workshop: ask its administrator"
    ) as refused:
        stage.run()
    assert str(refused.value).endswith("nothing was submitted")


def test_an_old_cluster(stage: Stage) -> None:
    stage.serve("ok-lab43").minor = "27+"
    with pytest.raises(
        UsageError, match=r"has Kubernetes 1\.27; labs need 1\.29 or newer, for containers beside others"
    ):
        stage.run()


def test_a_quota_that_could_never_take_the_whole_run(stage: Stage) -> None:
    quota = {"metadata": {"name": "labs"}, "status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}}
    stage.serve("ok-lab43").others["resourcequotas"] = [quota]
    with pytest.raises(
        UsageError,
        match=r"2 of pods, and the quota labs has 1 left of 1\nask for less, or for a larger quota",
    ):
        stage.run()


def test_a_post_whose_answer_is_lost_is_looked_after(stage: Stage) -> None:
    stage.serve("ok-lab43", faults=Faults(answers={"post jobs": [0]}))
    assert stage.run().status == 0


def test_nothing_stays_where_the_server_breaks_half_way(stage: Stage) -> None:
    server = stage.serve("ok-lab43", faults=Faults(answers={"post jobs": [500]}))
    with pytest.raises(UsageError, match=r"Kubernetes refused \(500\)"):
        stage.run()
    removed = {path.split("/")[-2] for how, path, _ in server.tape.asked if how == "DELETE"}
    assert removed == {"secrets", "services"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no way to a cluster"),
        ("a: [", "no way to a cluster"),
        ("[1]", "no way to a cluster"),
        ("current-context: x\ncontexts: []\nclusters: []\nusers: []\n", "no way to a cluster"),
        (None, "no way to a cluster"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(UsageError, match=words) as refused:
        connected("", "")
    assert len(str(refused.value).splitlines()) <= 3


def test_nobody_listens(stage: Stage) -> None:
    server = stage.serve("ok-lab43")
    spec = stage.spec()
    server.close()
    stage.server = None
    with pytest.raises(UsageError, match=r"the cluster does not answer: .*\nnothing was submitted"):
        stage.launcher.submit(spec)


def test_without_the_client_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UsageError, match="LAUNCHER=k8s needs the package kubernetes, which is not installed"):
        connected("", "")


def test_a_run_that_cannot_be_noted_does_not_stay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise UsageError("no space left")

    server = stage.serve("ok-lab43")
    monkeypatch.setattr("labs.launch.kubernetes.note_job", full)
    with pytest.raises(UsageError, match="no space left"):
        stage.run()
    assert [path for how, path, _ in server.tape.asked if how == "DELETE" and "/jobs/" in path]


def test_a_login_that_failed_without_a_word_is_named(stage: Stage) -> None:
    server = stage.serve("ok-lab43", faults=Faults(answers={"post selfsubjectaccessreviews": [403]}))
    server.forbidden_message = 'it is forbidden: User "system:anonymous" cannot create resource'
    with pytest.raises(UsageError, match="you are not logged in: is the kubeconfig's user there"):
        stage.run()
