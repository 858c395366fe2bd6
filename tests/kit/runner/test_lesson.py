"""A lab's file as the kit reads it."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from labs.kit.runner import lesson
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.mutants import load

TROUBLED = Path(__file__).parents[1] / "troubled_lab.py"


def test_steps_stand_in_file_order_without_run_and_without_imported_functions(tiny: Lesson) -> None:
    assert list(tiny.steps) == ["numbers", "doubled", "total", "long_row", "remembered"]


def test_exercises_are_numbered_in_file_order(tiny: Lesson) -> None:
    assert tiny.exercises == {"99.1": "doubled", "99.2": "total", "99.3": "long_row"}
    assert [tiny.exercise_of(step) for step in tiny.steps] == ["", "99.1", "99.2", "99.3", ""]


def test_what_takes_cfg_and_lab_is_a_part(tiny: Lesson) -> None:
    assert list(tiny.parts) == ["counting", "arithmetic", "timing", "elsewhere"]
    assert not tiny.parts.keys() & tiny.steps.keys()


def test_title_and_name_are_the_labs_own(tiny: Lesson) -> None:
    assert tiny.title == "Tiny things"
    assert tiny.import_name == "labs.m7_bonus.lab99_tiny_things"
    assert list(tiny.classes) == []


def test_known_mistakes_stand_in_the_file_beside_it(tiny: Lesson) -> None:
    assert [mutant.name for mutant in tiny.mutants][:2] == ["counts too many", "triples"]
    assert tiny.mutants[1].step is tiny.steps["doubled"]
    assert tiny.equivalents == ()


def test_a_lab_without_such_a_file_has_none(troubled: Lesson) -> None:
    assert (troubled.mutants, troubled.equivalents) == ((), ())


def test_claims_are_read_from_the_source(tiny: Lesson) -> None:
    assert list(tiny.sentences) == [
        f"99.{name}"
        for name in ("numbers", "refused", "doubled", "total", "remembered", "longer", "elsewhere")
    ]
    assert tiny.sentences["99.longer"] == ("99.longer", "a long row takes longer", "ratio")


def test_what_parts_hand_to_lab_step_is_known(tiny: Lesson) -> None:
    assert tiny.called_by_parts == {"numbers", "doubled", "total", "remembered", "long_row"}


def test_a_step_is_reached_by_the_parts_that_call_it(tiny: Lesson) -> None:
    assert tiny.parts_that_reach("total") == {"arithmetic"}
    assert tiny.parts_that_reach("long_row") == {"timing"}


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        ("m1_tensors.lab01_storage_vs_view", set()),
        ("m4_architecture.lab27_gradient_checkpointing", {"on_a_gpu"}),  # which needs cuda, and names it
        ("m5_training.lab33_torch_compile_intro", {"one_loop", "paid", "modes"}),
        ("m6_production.lab41_onnx_advanced_export", {"on_a_gpu"}),
    ],
)
def test_parts_that_ask_for_the_runs_device_compute_there_and_all_others_on_the_cpu(
    module: str, parts: set[str]
) -> None:
    assert load(f"labs.{module}").on_device == parts


def test_a_part_may_leave_asking_for_the_device_to_a_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TROUBLED.read_text(encoding="utf-8")
    asking = "def place(lab: Lab) -> str:\n    return str(lab.world.device)\n\n\ndef run("
    text = text.replace("def run(", asking, 1)
    assert imported(tmp_path / "m7_bonus", text, monkeypatch).on_device == set()
    (part,) = imported(tmp_path / "m7_bonus", text, monkeypatch).parts
    begun = text.index('"""', text.index(f"def {part}("))
    end = text.index('"""', begun + 3) + 3
    text = f"{text[:end]}\n    place(lab){text[end:]}"
    assert imported(tmp_path / "m7_bonus", text, monkeypatch).on_device == {part}


HELPERS = """
def lowest() -> int:
    "Begin at zero."
    return 0


class Ranks:
    "All ranks."

    def first(self) -> int:
        return lowest()


def ranked(ranks: Ranks) -> int:
    "Take the first."
    return ranks.first()
"""
IMPORT = "from labs.kit import Lab, main\n"


@pytest.fixture
def troubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    return imported(tmp_path / "m7_bonus", TROUBLED.read_text(encoding="utf-8"), monkeypatch)


@pytest.fixture
def with_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """The troubled lab, which takes a rank from a file of helpers."""
    text = TROUBLED.read_text(encoding="utf-8")
    text = text.replace(IMPORT, f"{IMPORT}from labs.m7_bonus._lab98_helpers import Ranks, ranked\n")
    text = text.replace("    return dist.get_rank()\n", "    return ranked(Ranks())\n")
    folder = tmp_path / "m7_bonus"
    folder.mkdir()
    (folder / "_lab98_helpers.py").write_text(HELPERS, encoding="utf-8")
    monkeypatch.setattr("labs.m7_bonus.__path__", [str(folder)])
    return imported(folder, text, monkeypatch)


def imported(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """Read the troubled lab from a file with this text."""
    folder.mkdir(exist_ok=True)
    file, name = folder / "lab98_troubles.py", "labs.m7_bonus.lab98_troubles"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    for made in (name, "labs.m7_bonus._lab98_helpers", "labs.m7_bonus._lab98_mutants"):
        monkeypatch.setitem(sys.modules, made, module)  # so that what is imported meanwhile goes again
        del sys.modules[made]
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return lesson.read(module.run, module.Config)


def test_helpers_in_a_file_beside_it_belong_to_the_lab(with_helpers: Lesson) -> None:
    assert list(with_helpers.steps) == ["misfortune", "added", "waited", "lowest", "ranked"]
    assert list(with_helpers.classes) == ["Ranks"]
    assert list(with_helpers.parts) == ["together"]


def test_what_a_helper_calls_by_way_of_a_class_is_reached(with_helpers: Lesson) -> None:
    assert with_helpers.reached_from("lowest") == {"lowest", "Ranks", "misfortune", "together"}
    assert with_helpers.parts_that_reach("ranked") == {"together"}


def test_a_replaced_helper_is_found_in_both_files(with_helpers: Lesson) -> None:
    misfortune, ranks = with_helpers.steps["misfortune"], with_helpers.classes["Ranks"]()
    with with_helpers.replaced({"lowest": answer}):
        assert with_helpers.steps["ranked"](ranks) == 42
    with with_helpers.replaced({"ranked": answer}):
        assert misfortune.__globals__["ranked"] is answer
        assert vars(sys.modules["labs.m7_bonus._lab98_helpers"])["ranked"] is answer
    assert misfortune.__globals__["ranked"] is with_helpers.steps["ranked"]


def answer() -> int:
    return 42


def test_a_replaced_step_is_found_by_every_caller_and_taken_out_again(tiny: Lesson) -> None:
    names = tiny.run.__globals__
    before = dict(names)
    with tiny.replaced({"doubled": answer, "total": answer}):
        assert names["doubled"] is answer
        assert names["total"] is answer
        assert names["numbers"] is before["numbers"]
    assert names == before


def test_a_replaced_step_is_taken_out_after_an_error(tiny: Lesson) -> None:
    before = dict(tiny.run.__globals__)
    with pytest.raises(RuntimeError, match="on purpose"), tiny.replaced({"doubled": answer}):
        raise RuntimeError("on purpose")
    assert tiny.run.__globals__ == before


def test_what_the_lab_does_not_have_cannot_be_replaced(tiny: Lesson) -> None:
    with pytest.raises(KeyError, match="no_such_step"), tiny.replaced({"no_such_step": answer}):
        pass
    assert "no_such_step" not in tiny.run.__globals__


def test_a_docstring_is_a_title_and_prose(tiny: Lesson) -> None:
    title, prose = lesson.title_and_prose(tiny.steps["total"])
    assert (title, prose) == ("Add the numbers up", "Their sum is known since Gauss was a boy.")
    assert lesson.title_and_prose(answer) == ("answer", "")


class Bare(torch.nn.Module):
    pass


def test_a_class_without_a_docstring_does_not_tell_that_of_its_base() -> None:
    assert lesson.title_and_prose(Bare) == ("Bare", "")
