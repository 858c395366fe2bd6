"""`labs doctor` in a fresh process, among small programs that answer, fail or hang, with and without torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labs import cgroups, home
from labs.doctor import conditions, examine, machine, packages, places, report
from labs.doctor import programs as programs_module
from labs.doctor.check import Check
from labs.home import Home

ROOT = Path(__file__).parents[1]
BASE = ("annotated_types", "annotated_doc", "markdown_it", "mdurl", "psutil", "pydantic", "pydantic_core", "pygments", "rich",
        "shellingham", "typer", "typing_extensions", "typing_inspection")  # fmt: skip
ANSWERS = {
    "docker": """echo '{"Name": "", "ServerVersion": "28.2.2"}'""",
    "podman": """echo '{"host": {}, "version": {"Version": "5.0"}}'""",
    "sbatch": "exit 1",
    "scontrol": 'echo "Slurmctld(primary) at node0 is UP"',
    "kubectl": 'case $1 in config) echo kind ;; *) printf \'{\\n"gitVersion": "v1.32.4"\\n}\' ;; esac',
    "apptainer": "echo apptainer version 1.4",
    "bwrap": "echo bubblewrap 0.8",
    "dot": "echo dot - graphviz version 2.43 >&2",
    "git": "echo git version 2.39",
    "g++": '[ $1 = --version ] && echo g++ 12.2 || PATH=/usr/bin:/bin exec g++ "$@"',
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
    verdict, said = seen.pop("C++ compiler")  # it compiles, for which a busy machine may not have the time
    assert verdict in ("ok", "slow")
    assert said.startswith("g++ 12.2")
    assert seen == {
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
    assert time.monotonic() - begun < 15  # one after another they would take 18
    for name in ("docker", "podman", "Slurm", "Kubernetes", "GPU", "git"):
        assert found[name]["verdict"] == "slow", "what takes its time is not broken"
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
    assert "– git            no git; for the revision in every run's record:" in done.stdout
    assert "– Slurm          no sbatch; for LAUNCHER=slurm: log in to a cluster\n" in done.stdout
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
    installed = next((login_node.parents[1] / "lib").glob("python*/site-packages")) / "torch.pth"
    installed.write_text(f"{tmp_path}\n")
    try:
        done = doctor(login_node, programs({}), tmp_path, "--json")
    finally:
        installed.unlink()
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
        assert check["verdict"] in ("ok", "missing", "slow", "broken", "noted")
        assert check["found"]
        assert (check["verdict"] in ("ok", "noted")) == (not check["allows"]) == (not check["get"])
    torch = next(check for check in said["checks"] if check["name"] == "torch")
    assert torch["verdict"] in ("ok", "slow")  # the latter on a machine that is busy with other tests
    assert torch["found"].startswith(metadata.version("torch"))


def test_what_is_well_fits_one_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the usual terminal of 24 lines and 80 columns, with the next command in sight."""
    monkeypatch.setattr(
        packages,
        "ask_child",
        lambda _: {name: {"version": "1.0", "gpus": ["GPU"]} for name in packages.PACKAGES},
    )
    monkeypatch.setattr(packages, "_version", lambda _: "2.13.0+cpu.of.a.very.long.name" * 4)
    fine = Check("fine", "x", "ok", "well " * 40)
    for name in ("compiler", "tool", "engine", "slurm", "kubernetes"):
        monkeypatch.setattr(places, name, lambda *_, name=name: replace(fine, name=name))
    monkeypatch.setattr(conditions, "all_looks", lambda _: [])
    assert report(as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("labs can run here")


def test_what_is_not_as_everywhere_is_noted_above_the_last_line(
    programs: Programs, login_node: Path, tmp_path: Path
) -> None:
    strange = {"RANK": "0", "TIME": "%E", "TMPDIR": str(tmp_path / ("x" * 90)), "GLOO_SOCKET_IFNAME": "ib0",
               "SLURM_CONF": "/my/slurm.conf", "TORCHDYNAMO_DISABLE": "1", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0",
               "PIP_TARGET": "/tmp/t", "PYTHONOPTIMIZE": "1", "SLURM_JOB_ID": "7"}  # fmt: skip
    (tmp_path / ("x" * 90)).mkdir()
    shown = doctor(login_node, programs({}), tmp_path, **strange).stdout.splitlines()
    names = [line[2:].partition(":")[0] for line in shown if line.startswith("! ")]
    assert names[:2] == ["other launcher", "Python's own"]
    assert {
        "Slurm's own",
        "Slurm job",
        "interfaces",
        "torch's switches",
        "TMPDIR",
        "exported",
        "terminal",
    } <= set(names)
    assert shown[-1].startswith("labs cannot run here")


def test_a_home_that_leads_nowhere_is_a_finding(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    found = verdicts(doctor(login_node, programs({}), tmp_path, "--json", LABS_HOME="~no_such_person/x"))
    assert found["disk"]["verdict"] == "broken"
    assert "LABS_HOME=~no_such_person/x leads nowhere" in found["disk"]["found"]


def test_a_compiler_that_cannot_do_it_is_broken(programs: Programs, login_node: Path, tmp_path: Path) -> None:
    path = programs({"g++": '[ $1 = --version ] && echo g++ 12.2 || { echo "error: no" >&2; exit 1; }'})
    found = verdicts(doctor(login_node, path, tmp_path, "--json"))["C++ compiler"]
    assert (found["verdict"], found["found"]) == ("broken", "g++ 12.2 is there: g++ fails: error: no")


@pytest.mark.parametrize(
    ("info", "verdict", "found"),
    [
        (
            '{"Name": "far", "ServerVersion": "28"}',
            "ok",
            "28, it runs on far, and must see the files of this machine",
        ),
        ('{"ServerVersion": "28", "SecurityOptions": ["name=rootless"]}', "ok", "28, root inside is you"),
        ('{"ServerVersion": "28", "SecurityOptions": ["name=userns"]}', "ok", "28, it maps users"),
        (
            '{"ServerErrors": ["Cannot connect"]}',
            "broken",
            "the client docker is there, its engine does not answer: start it",
        ),
    ],
)
def test_an_engine_says_what_it_is(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, info: str, verdict: str, found: str
) -> None:
    monkeypatch.setenv("PATH", str(programs({"docker": f"echo '{info}'"})))
    check = places.engine(programs_module.Programs(), "docker")
    assert (check.verdict, check.found) == (verdict, found)


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
        out, err = child.communicate(timeout=30)  # git alone would take 60 s
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_what_runs_ends_when_all_are_ended_and_not_when_its_patience_does() -> None:
    asked = programs_module.Programs()
    threading.Timer(0.2, asked.stop).start()
    assert asked.ask("/bin/sleep", "60", seconds=30).status == -signal.SIGKILL
    assert asked.ask("/bin/echo", "late").status is None, "and nothing is started any more"


def test_ctrl_c_ends_all_that_the_doctor_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would wait for the patience with each of them, which no bound on a busy machine could tell."""
    stopped: list[bool] = []

    def interrupted() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "python", interrupted)
    monkeypatch.setattr(programs_module.Programs, "stop", lambda _: stopped.append(True))
    with pytest.raises(KeyboardInterrupt):
        examine()
    assert stopped == [True]


def test_what_was_being_started_as_all_were_ended_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a program takes a while to start, and is not yet among those that run."""
    asked = programs_module.Programs()
    start = subprocess.Popen

    def meanwhile(*command: Any, **options: Any) -> Any:
        asked.stop()
        return start(*command, **options)

    monkeypatch.setattr(subprocess, "Popen", meanwhile)
    assert asked.ask("/bin/sleep", "60", seconds=30).status == -signal.SIGKILL


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
    assert packages.package("matplotlib", known(facts)).found.endswith(
        "; slow, not broken: 8.5 s were not enough to import it this time"
    )
    assert packages.package("lightning", known(facts)).found.endswith("; there was no time to import it")


def test_a_torch_that_takes_its_time_keeps_no_lab_from_running(
    monkeypatch: pytest.MonkeyPatch, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a cold start from a slow disk. Whether it sees a GPU is not known then, and nothing else is said of that."""

    class Slow:
        def ask(self, *_: object, **__: object) -> Any:
            return SimpleNamespace(status=None, out="", err="")

    facts = known(packages.ask_child(Slow()))  # type: ignore[arg-type]
    torch = packages.package("torch", facts)
    assert (torch.verdict, torch.get) == ("slow", "labs doctor, once more: what was read once comes faster")
    assert "slow, not broken" in torch.found
    monkeypatch.setenv("PATH", str(programs({"nvidia-smi": 'echo "NVIDIA H200, 580.1"'})))
    assert machine.gpu(programs_module.Programs(), facts).verdict == "slow"
    monkeypatch.setattr("labs.doctor.examine", lambda: [torch])
    assert report(as_json=False) == 0
    assert "labs can run here" in capsys.readouterr().out


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


def test_little_memory_and_little_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cgroups, "memory", lambda: cgroups.Memory(24 * 2**30, 2**30, 2**29))
    assert machine.memory().verdict == "missing"
    assert machine.memory().found == "24.0 GiB, its cgroup allows 1.0, 0.5 of it free"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20, total=2**26))
    assert (machine.disk(Home(tmp_path / "not" / "yet")).verdict, machine.shared_memory(tmp_path).found) == (
        "missing",
        f"64 MiB in {tmp_path}, a part of the memory that its cgroup allows",
    )
    assert machine.shared_memory(tmp_path).get == "in a container: --shm-size=1g"
    assert not (tmp_path / "not").exists()


def test_shared_memory_is_no_more_than_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cgroups, "memory", lambda: cgroups.Memory(24 * 2**30, 2**30, 2**29))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=12 * 2**30))
    found = machine.shared_memory(tmp_path).found
    assert found == f"1.0 GiB in {tmp_path}, a part of the memory that its cgroup allows"


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
