"""torchvision beside a CPU torch: the hook acts in every process, costs nothing elsewhere, and is there only where it is needed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from scripts.torchvision_cpu import install

HOOK = Path(__file__).parents[2] / "scripts" / "torchvision_cpu" / "_torchvision_cpu.py"

SPAWN = """
import multiprocessing

def boxes():
    import torchvision.ops
    return torchvision.ops.box_iou.__name__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(boxes))
"""

# Stand-ins with what the hook touches, so that a torchvision whose compiled half loads can be had as well.
TORCH = """
from types import SimpleNamespace
declared = []
class Library:
    def __init__(self, name, kind): assert (name, kind) == ("torchvision", "DEF")
    def define(self, schema): declared.append(schema.split("(")[0])
def load_library(path):
    if {broken}: raise OSError("libcudart.so.13: cannot open shared object file")
library = SimpleNamespace(Library=Library)
ops = SimpleNamespace(load_library=load_library)
"""


def python(*arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=os.environ | environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("-W", "error", "-c", "import torchvision.transforms.v2"),
        ("-c", "import lightning"),
        (
            "-c",
            "from torchvision.models import resnet18; import torch; resnet18().eval()(torch.zeros(1, 3, 32, 32))",
        ),
    ],
    ids=["torchvision first, warnings are errors", "lightning first", "a model"],
)
def test_it_imports(arguments: tuple[str, ...]) -> None:
    python(*arguments)


def test_it_imports_in_a_spawned_child(tmp_path: Path) -> None:
    (tmp_path / "spawn.py").write_text(SPAWN)
    assert python(str(tmp_path / "spawn.py")) == "box_iou"


def test_start_and_search_cost_no_import_of_torch() -> None:
    assert (
        python(
            "-c",
            "import sys, importlib.util as u; print(u.find_spec('torchvision') is not None, 'torch' in sys.modules)",
        )
        == "True False"
    )


@pytest.mark.parametrize(("broken", "declared"), [(True, ["nms", "qnms"]), (False, [])])
def test_it_declares_operators_only_if_the_compiled_half_does_not_load(
    tmp_path: Path, broken: bool, declared: list[str]
) -> None:
    (tmp_path / "torch.py").write_text(TORCH.format(broken=broken))
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("import torch; at_import = list(torch.declared)\n")
    (tmp_path / "torchvision" / "_C.so").touch()
    (tmp_path / HOOK.name).write_bytes(HOOK.read_bytes())
    # -S keeps out the hook that this environment may have.
    assert python(
        "-S",
        "-c",
        "import _torchvision_cpu, torchvision; print(torchvision.at_import)",
        PYTHONPATH=str(tmp_path),
    ) == str(declared)


@pytest.mark.parametrize(
    ("errors", "installed", "status"),
    [
        ([""], False, 0),
        ([f"RuntimeError: {install.SYMPTOM}", ""], True, 0),
        (["ImportError: something else"], False, 1),
    ],
    ids=["imports as it is", "needs the hook", "broken otherwise"],
)
def test_it_is_installed_only_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[str], installed: bool, status: int
) -> None:
    answers = iter(errors)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(install, "import_error", lambda: next(answers))
    (tmp_path / install.FILES[1]).write_text("import left_from_before\n")
    assert install.main() == status
    assert {file.name for file in tmp_path.glob("_*.p*")} == (set(install.FILES) if installed else set())
