"""podman for tests: settings, storage and addresses of its own, and the image that it is lent by docker.

Its commands run in a network namespace, since it would change the machine's firewall for everybody.
"""

import os
import shutil
import subprocess

from tests.images import engine

FOLDER = engine.HERE / "podman"
PACKAGES = ("podman", "netavark", "aardvark-dns", "runc")
APART = ("unshare", "--net", "--")
# runc, because crun refuses a machine whose control groups are of both versions. Limits: podman's own are higher than root may set
# where it lacks CAP_SYS_RESOURCE, as in a container.
SETTINGS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{folder}/tmp"
lock_type = "file"
[network]
network_config_dir = "{folder}/networks"
default_subnet = "198.19.255.0/24"
default_subnet_pools = [{{"base" = "198.19.0.0/17", "size" = 24}}]
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""
# What a node starter and the probe need, without torch: gigabytes less to copy.
SMALL = """
FROM {image} AS labs
FROM {base}
COPY --from=labs /usr/bin/tini /usr/bin/tini
RUN python3 -m venv --without-pip /opt/venv && mkdir /opt/labs
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp USER=labs LOGNAME=labs PYTHONUNBUFFERED=1
ENTRYPOINT ["/usr/bin/tini", "--"]
"""


def up(builder: str, image: str, *, install: bool) -> dict[str, str]:
    """Return the environment in which podman runs containers with the labs' image. Raises EngineError where it cannot."""
    if not shutil.which("podman"):
        engine.install_packages(PACKAGES, allowed=install)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in {"containers.conf": SETTINGS, "storage.conf": STORAGE}.items():
        (FOLDER / name).write_text(text.format(folder=FOLDER), encoding="utf-8")
    places = {
        "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
    }
    environment = {**places, "DOCKER_HOST": "unix:///nowhere/docker.sock"}  # no docker here: podman serves
    lend(builder, image, environment)
    engine.run([*APART, "podman", "run", "--rm", "--network", "none", "labs:cpu", "true"], **environment)
    return environment


def lend(builder: str, image: str, environment: dict[str, str]) -> None:
    recipe = SMALL.format(image=image, base=engine.make_base())
    command = [builder, "build", "--quiet", "--network", "none", "--tag", "labs/small", "-"]
    done = subprocess.run(
        command,
        input=recipe,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    engine.run(
        ["sh", "-c", f"DOCKER_HOST={os.environ['DOCKER_HOST']} docker save labs/small | podman load"],
        **environment,
    )
    engine.run(["podman", "tag", "labs/small", "labs:cpu"], **environment)


def down(environment: dict[str, str]) -> None:
    """Remove all that podman kept."""
    subprocess.run(
        ["podman", "system", "reset", "--force"],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
