"""The launcher for Kubernetes, as far as it goes without a cluster. With one that answers as recorded: tests/k8s."""

import re

from labs.launch import LAUNCHERS
from labs.launch.kubernetes import drawn, run_name
from tests.launch.kubernetes.conftest import Asked, asked  # noqa: F401


def test_it_is_never_chosen_by_itself() -> None:
    assert LAUNCHERS["k8s"].why().startswith("never by itself")


def test_a_runs_name_can_stand_in_a_command(asked: Asked) -> None:  # noqa: F811
    from labs.launch.spec import JOB_ID

    for lab in (7, 43, 0):
        name = run_name(asked(lab=lab), drawn())
        assert JOB_ID.fullmatch(name), name
    assert re.fullmatch("preflight-[a-z0-9]{6}", name)
    assert drawn() != drawn()
