"""What can be known to be wrong before a cluster is asked."""

from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes import wishes
from tests.launch.kubernetes.conftest import Asked


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"namespace": "Work_Shop"}, "can be no name in Kubernetes"),
        ({"queue": "a.b"}, "can be no name in Kubernetes"),
        ({"claim": "../x"}, "can be no name in Kubernetes"),
        ({"cpus": "two"}, "CPUS=two is not possible"),
        ({"pull": "never"}, "PULL=never is not there; choose from: Always"),
        ({"retries": "-1"}, "is not possible; give a whole number from 0 to 99, such as RETRIES=2"),
        ({"resource": "a b"}, "is not possible; give the name of a GPU, such as RESOURCE="),
        ({"time": "soon"}, "TIME=soon is not possible"),
        ({"selector": "gpu"}, "is not possible; give labels of nodes, such as SELECTOR="),
        ({"tolerations": "gpu:Never"}, "is not possible; give taints of nodes, such as TOLERATIONS="),
        ({"memory": "1G", "shm": "2G"}, "is not less than MEMORY=1G, of which it is a part"),
        ({"memory": "8 GB"}, "MEMORY=8 GB is not possible"),
        ({"folder": Path("/usr/runs")}, "cannot be a path in a pod: it would hide the image's /usr"),
        ({"folder": Path("/home/a:b")}, "it must begin with / and hold no colon"),
        ({"attempt": Path("/nowhere/lab43.py")}, "cannot read /nowhere/lab43.py"),
    ],
)
def test_it_is_refused_in_at_most_three_lines(asked: Asked, wish: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        wishes.check(asked(**wish))
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3


def test_a_file_that_no_config_map_holds(asked: Asked, tmp_path: Path) -> None:
    large = tmp_path / "lab43.py"
    large.write_text("#" * 2**20)
    with pytest.raises(UsageError, match=r"has 1048576 bytes, and a ConfigMap takes \d+"):
        wishes.check(asked(attempt=large))


def test_what_is_possible_is_read(asked: Asked) -> None:
    wishes.check(
        asked(
            namespace="workshop", cpus="4", memory="8G", shm="1G", time="1:30:00", pull="Never", retries="2"
        )
    )
    assert wishes.selector("gpu=h100,example.org/zone=a") == {"gpu": "h100", "example.org/zone": "a"}
    assert wishes.tolerations("gpu=yes:NoSchedule,spot") == [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
