"""One run of a lesson, from its opening to its record."""

import dataclasses
import io
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from labs.kit.display.screen import Screen
from labs.kit.distributed.world import World
from labs.kit.runner import session
from labs.kit.runner.bench import distinct_arms
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.mutants import load
from labs.record import Run


def performed(tiny: Lesson, **config: Any) -> Run:
    notes = session.blank(tiny, tiny.config(**config), smoke=False)
    session.perform(tiny, tiny.config(**config), notes, RunContext(timer=distinct_arms))
    return notes


def test_a_blank_record_says_what_is_about_to_run(tiny: Lesson) -> None:
    notes = session.blank(tiny, tiny.config(count=5), smoke=True, launcher="local")
    assert (notes.lab, notes.title, notes.status, notes.smoke, notes.nodes, notes.procs) == (
        99,
        "Tiny things",
        "running",
        True,
        1,
        1,
    )
    assert notes.config == {"count": 5, "scale": 1.0, "mood": "well", "loud": False}
    assert len(notes.ranks) == 1


ONE_GPU = World(_gpus=[["GPU-0"]])


@pytest.mark.parametrize(
    ("module", "device", "words"),
    [
        ("m1_tensors.lab01_storage_vs_view", "cpu", "1 process: on the CPU"),
        (
            "m4_architecture.lab27_gradient_checkpointing",
            "cuda:0",
            "1 process, 1 GPU: on cuda:0, 6 of 7 parts on the CPU",
        ),
        (
            "m6_production.lab43_ddp_concepts",
            "cuda:0",
            "1 process, 1 GPU: on cuda:0, 2 of 7 parts on the CPU",
        ),
    ],
)
def test_where_there_is_a_gpu_a_run_says_and_keeps_what_is_computed_there(
    module: str, device: str, words: str
) -> None:
    lesson = load(f"labs.{module}")
    assert session.where(lesson, ONE_GPU) == words
    (rank,) = session.blank(lesson, lesson.config(), smoke=True, world=ONE_GPU).ranks
    assert rank.device == device


def test_a_claim_names_the_device_of_its_own_part(tiny: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = session.rehearse(tiny, tiny.config(), RunContext(world=ONE_GPU), smoke=True)
    assert {claim.device for claim in notes.claims} == {"cpu"}
    monkeypatch.setitem(tiny.__dict__, "on_device", frozenset({"arithmetic"}))
    notes = session.rehearse(tiny, tiny.config(), RunContext(world=ONE_GPU), smoke=True)
    devices = {claim.device for claim in notes.claims if claim.part == 2}
    assert devices == {"cuda:0"}


def test_a_run_whose_claims_hold_held(tiny: Lesson) -> None:
    notes = performed(tiny)
    assert (notes.status, notes.error) == ("held", "")
    assert [claim.id for claim in notes.claims] == [
        f"99.{name}"
        for name in ("numbers", "refused", "doubled", "total", "remembered", "longer", "elsewhere")
    ]
    assert [claim.verdict for claim in notes.claims] == ["held"] * 6 + ["not measured here"]
    assert [part.name for part in notes.parts] == ["counting", "arithmetic", "timing", "elsewhere"]
    assert notes.seconds > 0


def test_one_failed_claim_fails_the_run(tiny: Lesson) -> None:
    notes = performed(tiny, mood="wrong")
    assert notes.status == "failed"
    assert [claim.id for claim in notes.claims if claim.verdict == "failed"] == ["99.doubled"]


def test_claims_that_are_not_measured_do_not_fail_the_run(tiny: Lesson) -> None:
    notes = session.rehearse(tiny, tiny.config(), RunContext(), smoke=True)
    assert notes.status == "held"
    assert notes.count("not measured here") == 2


def test_a_lab_that_raises_broke_and_its_line_names_the_step(tiny: Lesson) -> None:
    notes = session.blank(tiny, tiny.config(mood="broken"), smoke=False)
    with pytest.raises(OSError, match="the tiny lab broke"):
        session.perform(tiny, tiny.config(mood="broken"), notes, RunContext())
    assert notes.status == "broke"
    assert notes.error.startswith(
        "lab 99 broke in step numbers: OSError: the tiny lab broke (lab99_tiny_things.py:"
    )
    assert "\n" not in notes.error
    assert notes.seconds > 0


def falling(cfg: Any, lab: Lab) -> None:
    """What goes wrong?"""
    raise OSError("no luck")


def test_before_its_first_step_the_part_is_named(tiny: Lesson) -> None:
    lesson = dataclasses.replace(tiny, run=lambda cfg, lab: lab.part(falling, cfg))
    notes = session.rehearse(lesson, tiny.config(), RunContext(), smoke=True)
    assert notes.error.startswith("lab 99 broke in part falling: OSError: no luck (test_session.py:")


def test_a_rehearsal_does_not_raise(tiny: Lesson) -> None:
    assert session.rehearse(tiny, tiny.config(mood="broken"), RunContext(), smoke=True).status == "broke"


def test_a_rehearsal_shows_nothing(tiny: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    session.rehearse(tiny, tiny.config(loud=True), RunContext(), smoke=True)
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_interrupts_the_run_and_goes_on_up(tiny: Lesson) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    notes = session.blank(tiny, tiny.config(), smoke=False)
    with pytest.raises(KeyboardInterrupt):
        session.perform(tiny, tiny.config(), notes, RunContext(replacements={"doubled": interrupted}))
    assert notes.status == "interrupted"
    assert [claim.id for claim in notes.claims] == ["99.numbers", "99.refused"]


def test_replacements_last_for_one_run(tiny: Lesson) -> None:
    wrong = {"doubled": tiny.steps["total"]}
    assert (
        session.rehearse(tiny, tiny.config(), RunContext(replacements=wrong), smoke=True).status == "failed"
    )
    tiny.namespaces[0]["MEMORY"].clear()
    assert session.rehearse(tiny, tiny.config(), RunContext(), smoke=True).status == "held"


def loads_with_more_workers_than_cores(cfg: Any, lab: Lab) -> None:
    """What does torch advise?"""
    DataLoader(TensorDataset(torch.ones(2)), num_workers=999)


def test_torchs_advice_on_workers_is_not_heard_in_a_lab(tiny: Lesson) -> None:
    with pytest.warns(UserWarning, match="This DataLoader will create 999"):
        DataLoader(TensorDataset(torch.ones(2)), num_workers=999)
    lesson = dataclasses.replace(tiny, run=loads_with_more_workers_than_cores)
    assert session.rehearse(lesson, tiny.config(), RunContext(), smoke=True).error == ""


def test_a_lab_without_claims_held(tiny: Lesson) -> None:
    empty = dataclasses.replace(tiny, run=lambda cfg, lab: None)
    assert session.rehearse(empty, tiny.config(), RunContext(), smoke=True).status == "held"


def test_the_machine_is_described(tiny: Lesson) -> None:
    notes = session.blank(tiny, tiny.config(), smoke=True)
    session.describe_machine(notes)
    assert notes.machine["cores"] >= 1
    assert notes.machine["memory_bytes"] > 2**20
    assert notes.versions["torch"]
    assert Run.model_validate_json(notes.model_dump_json()) == notes


def test_the_screen_sees_what_the_notes_say(tiny: Lesson) -> None:
    log = io.StringIO()
    notes = session.blank(tiny, tiny.config(loud=True), smoke=True)
    session.perform(
        tiny,
        tiny.config(loud=True),
        notes,
        RunContext(screen=Screen(quiet=True, log=log), timer=distinct_arms),
    )
    shown = log.getvalue()
    assert all(claim.id in shown for claim in notes.claims)
    assert all(step.title in shown for step in notes.steps)
    assert all(part.title in shown for part in notes.parts)
    assert "Twice x[0]" in shown
    assert "so the last number is N − 1" in shown
    assert "So a row of N numbers is *not* three rows." in shown
    assert "x[i] = i" not in shown, "a step's prose stands on the page"


def test_an_import_that_ctrl_c_ended_is_an_interruption() -> None:
    """As pybind11 and numpy's C code make of it."""
    interrupt, broken = KeyboardInterrupt(), ImportError("initialization failed")
    broken.__cause__ = interrupt
    assert session.interrupt_behind(broken) is interrupt
    assert session.interrupt_behind(ImportError("no such module")) is None


def test_a_run_that_it_ends_is_interrupted(tiny: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(cfg: Any, lab: Lab) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    notes = session.blank(tiny, tiny.config(), smoke=False)
    with pytest.raises(KeyboardInterrupt):
        session.perform(dataclasses.replace(tiny, run=imported), tiny.config(), notes, RunContext())
    assert (notes.status, notes.error) == ("interrupted", "interrupted")
