"""The network of a run leads to its own nodes, and nowhere else: not to the host, not past it, not to a run beside it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.launch.docker import LABEL
from tests.images.stage import Engine, Stage

SERVED = 7007  # by the first rank of the probe on each node
TRY_ALL = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reached(place):
    try:
        socket.create_connection(place, timeout=3).close()
    except OSError:
        return False
    return True

places = json.loads(sys.argv[1])
with ThreadPoolExecutor(len(places)) as pool:
    print(json.dumps([place for place, yes in zip(places, pool.map(reached, places)) if yes]))
"""

Place = tuple[str, int]


@pytest.fixture
def beside(tmp_path: Path, engine: Engine, image: str) -> Iterator[Stage]:
    """A second checkout, for a run at the same time."""
    made = Stage(tmp_path / "beside", engine)
    yield made
    made.close()


def test_a_node_reaches_its_own_run_and_nothing_else(stage: Stage, beside: Stage) -> None:
    for one in (stage, beside):
        one.start("wait")
    addresses = {one: addresses_of(one) for one in (stage, beside)}
    with socket.create_server(("", 0)) as service:
        port = service.getsockname()[1]
        hosts = [(address, port) for address in addresses_of_host()]
        gateways = [(address, port) for address in addresses_of_host("gateway")]
        own = [("node0", SERVED), ("node1", SERVED), (addresses[stage]["node1"], SERVED)]
        others = [(address, SERVED) for address in addresses[beside].values()]
        assert hosts == reached(
            [], hosts
        )  # the host itself reaches its service, so that it can be reached at all
        assert reached(within(stage), own + others + hosts + gateways) == own


def test_names_of_the_world_outside_lead_nowhere(stage: Stage) -> None:
    stage.start("wait")
    addresses_of(stage)
    asked = [
        *within(stage),
        "/opt/venv/bin/python",
        "-c",
        "import socket; socket.gethostbyname('example.org')",
    ]
    assert "gaierror" in subprocess.run(asked, capture_output=True, text=True, check=False).stderr


def within(stage: Stage) -> list[str]:
    return ["docker", "exec", container(stage, "node0")]


def reached(within: list[str], places: list[Place]) -> list[Place]:
    """Return those of the places that a container, or without one the host, can connect to."""
    python = "/opt/venv/bin/python" if within else sys.executable
    done = subprocess.run(
        [*within, python, "-c", TRY_ALL, json.dumps(places)], capture_output=True, text=True, check=True
    )
    return [(host, port) for host, port in json.loads(done.stdout)]


def container(stage: Stage, node: str) -> str:
    return stage.engine(
        "ps", "--quiet", "--filter", f"label={LABEL}={stage.run_folder}", "--filter", f"name={node}"
    ).strip()


def addresses_of(stage: Stage) -> dict[str, str]:
    """Return the address of each node, once all are there."""
    stage.facts(2)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return {
        node: stage.engine("inspect", "--format", form, container(stage, node)).strip()
        for node in ("node0", "node1")
    }


def addresses_of_host(which: str = "local") -> list[str]:
    """Return all addresses of version 4 that the host has, those of bridges among them; or its way out."""
    if which == "gateway":
        routes = json.loads(
            subprocess.run(
                ["ip", "-json", "route", "show", "default"], capture_output=True, text=True, check=True
            ).stdout
        )
        return [route["gateway"] for route in routes if "gateway" in route]
    links = json.loads(
        subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, text=True, check=True).stdout
    )
    return [
        address["local"] for link in links for address in link["addr_info"] if address["local"] != "127.0.0.1"
    ]
