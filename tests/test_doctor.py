"""`labs doctor` in a fresh process, among small programs that answer, fail or hang, with and without torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from concurrent.futures import Future
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labs import home
from labs.doctor import machine, packages, report
from labs.doctor import programs as programs_module
from labs.doctor.check import Check
from labs.home import Home

ROOT = Path(__file__).parents[1]
BASE = ("annotated_types", "annotated_doc", "markdown_it", "mdurl", "psutil", "pydantic", "pydantic_core", "pygments", "rich",
        "shellingham", "typer", "typing_extensions", "typing_inspection")  # fmt: skip
ANSWERS = {
    "docker": "echo 28.2.2",
    "podman": "echo 5.0",
    "sbatch": "exit 1",
    "scontrol": 'echo "Slurmctld(primary) at node0 is UP"',
    "kubectl": 'case $1 in config) echo kind ;; *) printf \'{\\n"gitVersion": "v1.32.4"\\n}\' ;; esac',
    "apptainer": "echo apptainer version 1.4",
    "bwrap": "echo bubblewrap 0.8",
    "dot": "echo dot - graphviz version 2.43 >&2",
    "git": "echo git version 2.39",
    "g++": "echo g++ 12.2",
}
FAILS = "echo it is not well today >&2; exit 1"
HANGS = "/bin/sleep 60"

Programs = Callable[[dict[str, str]], Path]


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Put small programs on an otherwise empty PATH."""

    def put(bodies: dict[str, str]) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, body in bodies.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        return folder

    return put


@pytest.fixture(scope="session")
def login_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with what the command needs, and without torch."""
    folder = tmp_path_factory.mktemp("login") / "venv"
    venv.create(folder, symlinks=True)
    target = next((folder / "lib").glob("python*/site-packages"))
    for name in BASE:
        found = Path(str(metadata.distribution("typer").locate_file("")), name)
        for path in (found, found.with_suffix(".py")):
            if path.exists():
                (target / path.name).symlink_to(path)
    return folder / "bin" / "python"


def doctor(
    python: Path | str, path: Path, home_: Path, *arguments: str, **more: str
) -> "subprocess.CompletedProcess[str]":
    command = [str(python), "-m", "labs", "doctor", *arguments]
    environ = {"PATH": str(path), "LABS_HOME": str(home_), "PYTHONPATH": str(ROOT)} | more
    return subprocess.run(command, env=environ, cwd=home_, capture_output=True, text=True, timeout=60)


def verdicts(done: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    assert done.stderr == ""
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_programs_that_answer(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    found = verdicts(doctor(login_node, programs(ANSWERS), tmp_path, "--json"))
    seen = {
        name: (check["verdict"], check["found"])
        for name, check in found.items()
        if check["group"] not in ("Python", "Machine")
    }
    assert seen == {
        "C++ compiler": ("ok", "g++ 12.2"),
        "git": ("ok", "git version 2.39"),
        "graphviz": ("ok", "dot - graphviz version 2.43"),
        "docker": ("ok", "28.2.2"),
        "podman": ("ok", "5.0"),
        "Slurm": ("ok", "Slurmctld(primary) at node0 is UP"),
        "Kubernetes": ("ok", "v1.32.4 in context kind"),
        "apptainer": ("ok", "apptainer version 1.4"),
        "bwrap": ("ok", "bubblewrap 0.8"),
    }


def test_programs_that_fail_say_why(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    found = verdicts(doctor(login_node, programs(dict.fromkeys(ANSWERS, FAILS)), tmp_path, "--json"))
    for name in ("C++ compiler", "git", "graphviz", "docker", "podman", "Slurm", "apptainer", "bwrap"):
        assert found[name]["verdict"] == "broken", name
        assert "it is not well today" in found[name]["found"]
        assert found[name]["allows"]
        assert found[name]["get"]
    assert (found["Kubernetes"]["verdict"], found["Kubernetes"]["found"]) == (
        "missing",
        "kubectl is there, and no context",
    )


def test_where_nothing_answers_it_ends_in_time_and_leaves_nothing_running(
    programs: Programs, login_node: Path, tmp_path: Path
) -> None:
    hangs = f"echo $$ >> {tmp_path}/pids; {HANGS}"
    slow = dict.fromkeys(ANSWERS, hangs) | {
        "kubectl": f"[ $1 = config ] && echo kind || {{ {hangs}; }}",
        "nvidia-smi": hangs,
    }
    begun = time.monotonic()
    found = verdicts(doctor(login_node, programs(slow), tmp_path, "--json"))
    assert time.monotonic() - begun < 10
    for name in ("docker", "podman", "Slurm", "Kubernetes", "GPU", "git"):
        assert found[name]["verdict"] == "broken"
        assert found[name]["found"].endswith("no answer within 3 s")
    assert not [pid for pid in (tmp_path / "pids").read_text().split() if is_running(int(pid))]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_bare_machine_without_torch(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    done = doctor(login_node, programs({}), tmp_path)
    assert done.returncode == 1
    assert (
        done.stdout.splitlines()[-1]
        == "labs cannot run here: torch is missing, matplotlib is missing · next: make setup"
    )
    assert "\x1b" not in done.stdout
    assert "  – git            no git\n" in done.stdout
    assert "for labs with LAUNCHER=slurm" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            "raise ImportError('libtorch.so: cannot open shared object file')",
            "ImportError: libtorch.so: cannot open shared object file",
        ),
        ("import os; os.abort()", "its import ended Python with SIGABRT"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_torch_that_does_not_import(
    programs: Programs, login_node: Path, tmp_path: Path, body: str, found: str
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(body)
    (tmp_path / "torch-2.13.0.dist-info").mkdir()
    (tmp_path / "torch-2.13.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 2.13.0\n")
    done = doctor(login_node, programs({}), tmp_path, "--json", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    torch = verdicts(done)["torch"]
    assert done.returncode == 1
    assert (torch["verdict"], torch["found"]) == ("broken", f"2.13.0; {found}")
    assert torch["get"] == "make distclean setup"


def test_the_form_of_the_json_and_this_very_environment(tmp_path: Path) -> None:
    done = doctor(sys.executable, Path(os.environ["PATH"].split(os.pathsep)[0]), tmp_path, "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert said["ready"] is True
    assert list(said) == ["checks", "ready"]
    for check in said["checks"]:
        assert list(check) == ["name", "group", "verdict", "found", "allows", "get"]
        assert check["verdict"] in ("ok", "missing", "broken")
        assert check["found"]
        assert (check["verdict"] == "ok") == (not check["allows"]) == (not check["get"])
    torch = next(check for check in said["checks"] if check["name"] == "torch")
    assert torch["verdict"] == "ok"
    assert torch["found"].startswith(metadata.version("torch"))


def test_ctrl_c_ends_it_at_once(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    environ = {
        "PATH": str(programs({"git": f"echo $$ > {tmp_path}/pid; {HANGS}"})),
        "LABS_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [str(login_node), "-m", "labs", "doctor"]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=2)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not is_running(int((tmp_path / "pid").read_text()))


def known(facts: packages.Facts) -> "Future[packages.Facts]":
    future: Future[packages.Facts] = Future()
    future.set_result(facts)
    return future


def test_packages_for_which_there_was_no_time() -> None:
    class Slow:
        def ask(self, *_: object, **__: object) -> Any:
            return SimpleNamespace(status=None, out='{"torch": {"version": "2.13.0"}}\n{"matplot', err="")

    facts = packages.ask_child(Slow())  # type: ignore[arg-type]
    assert packages.package("torch", known(facts)).verdict == "ok"
    assert packages.package("matplotlib", known(facts)).found.endswith("; 8.5 s were not enough to import it")
    assert packages.package("lightning", known(facts)).found.endswith("; there was no time to import it")


@pytest.mark.parametrize(
    ("seen", "smi", "verdict", "found"),
    [
        (
            ["NVIDIA H200"] * 2,
            'echo "NVIDIA H200, 580.1"; echo "NVIDIA H200, 580.1"',
            "ok",
            "2 × NVIDIA H200, driver 580.1",
        ),
        ([], 'echo "NVIDIA H200, 580.1"', "broken", "1 × NVIDIA H200, driver 580.1; torch does not see it"),
        ([], FAILS, "broken", "nvidia-smi: it is not well today"),
        (["Apple GPU, by MPS"], None, "ok", "1 × Apple GPU, by MPS"),
        ([], None, "missing", "none"),
    ],
)
def test_gpus(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, seen: list[str], smi: str | None, verdict: str, found: str
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", str(programs({"nvidia-smi": smi} if smi else {})))
    check = machine.gpu(programs_module.Programs(), known({"torch": {"gpus": seen}}))
    assert (check.verdict, check.found) == (verdict, found)


def test_limits_of_cgroup_v2_also_those_above(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for place, cpu, memory in (
        ("", "", ""),
        ("a", "150000 100000", "2147483648"),
        ("a/b", "max 100000", "max"),
    ):
        if cpu:
            (tmp_path / place / "cpu.max").write_text(f"{cpu}\n")
            (tmp_path / place / "memory.max").write_text(f"{memory}\n")
    (tmp_path / "proc").write_text("0::/a/b\n")
    folders = machine.cgroup_folders("cpu", tmp_path / "proc", tmp_path)
    assert folders == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert machine.cgroup_cores(folders) == 1.5
    assert machine.cgroup_bytes(folders) == 2 * 2**30


def test_limits_of_cgroup_v1_in_the_tree_of_each_controller(tmp_path: Path) -> None:
    for tree, files in {
        "cpu,cpuacct/job": {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
        "cpu,cpuacct": {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
        "memory": {"memory.limit_in_bytes": "9223372036854771712"},
        "memory/job": {"memory.limit_in_bytes": "1073741824"},
    }.items():
        (tmp_path / tree).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / tree / name).write_text(f"{text}\n")
    (tmp_path / "proc").write_text("5:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/\n0::/\n")
    assert machine.cgroup_cores(machine.cgroup_folders("cpu", tmp_path / "proc", tmp_path)) == 0.5
    assert machine.cgroup_bytes(machine.cgroup_folders("memory", tmp_path / "proc", tmp_path)) == 2**30


def test_no_cgroups_no_limits(tmp_path: Path) -> None:
    assert machine.cgroup_folders("cpu", tmp_path / "none", tmp_path) == []
    assert machine.cgroup_cores([tmp_path]) is None
    assert machine.cgroup_bytes([tmp_path]) is None


def test_little_memory_and_little_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "cgroup_bytes", lambda _: 2**30)
    assert machine.memory().verdict == "missing"
    assert machine.memory().found.endswith("its cgroup allows 1.0")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20, total=2**26))
    assert (machine.disk(Home(tmp_path / "not" / "yet")).verdict, machine.shared_memory(tmp_path).found) == (
        "missing",
        f"64 MiB in {tmp_path}",
    )
    assert machine.shared_memory(tmp_path).get == "in a container: --shm-size=1g"
    assert not (tmp_path / "not").exists()


def test_a_file_in_the_place_of_the_home(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.disk(Home(tmp_path / "file" / "labs")).verdict == "broken"


@pytest.mark.parametrize(("system", "verdict"), [("linux", "missing"), ("darwin", "ok")])
def test_without_shared_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, verdict: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert machine.shared_memory(tmp_path / "none").verdict == verdict


def test_an_old_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "versions.env").write_text("PYTHON_MIN=3.99\n")
    monkeypatch.setattr(home, "CHECKOUT", tmp_path)
    assert packages.python().verdict == "broken"
    assert "Python 3.99" in packages.python().get


def test_the_last_line_names_the_next_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labs.doctor.examine", lambda: [Check("torch", "Python", "ok", "2.13.0")])
    assert report(as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "labs can run here · next: make lab-01"
