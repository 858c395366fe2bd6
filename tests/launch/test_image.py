"""Names of images, and whether one fits the checkout."""

from pathlib import Path

import pytest

from labs import home
from labs.errors import UsageError
from labs.launch import image
from labs.launch.engine import Engine


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in image.PINNED_BY:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(home, "CHECKOUT", tmp_path)
    return tmp_path


def test_there_are_two_targets() -> None:
    assert [image.name_of(image.require_target(target)) for target in ("cpu", "gpu")] == [
        "labs:cpu",
        "labs:gpu",
    ]
    with pytest.raises(UsageError, match="TARGET=tpu is not there; choose from: cpu, gpu"):
        image.require_target("tpu")


def test_other_versions_are_other_pins_and_without_a_checkout_there_are_none(checkout: Path) -> None:
    before = image.pins(checkout)
    (checkout / "versions.env").write_text("other")
    assert before != image.pins(checkout)
    (checkout / "versions.env").unlink()
    assert image.pins(checkout) == ""


def test_an_image_of_other_versions_is_used_and_that_is_said(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for made_from, said in ((image.pins(checkout), False), ("", False), ("other", True)):
        monkeypatch.setattr(Engine, "fact", lambda self, image, form, made_from=made_from: made_from)
        image.check(Engine("docker"), "labs:cpu")
        assert (
            "labs:cpu was made from other versions than this checkout names" in capsys.readouterr().err
        ) is said


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("labs:cpu", True),
        ("labs", True),
        ("docker.io/library/labs:gpu", True),
        ("library/labs:cpu", True),
        ("docker://labs:cpu", True),
        (f"labs@sha256:{'0' * 64}", True),
        ("registry.example.org/course/labs:cpu", False),
        ("registry.example.org:5000/labs", False),
        ("localhost/labs:cpu", False),
        ("ada/labs:cpu", False),
        ("mylabs:cpu", False),
        ("/scratch/labs", False),
    ],
)
def test_a_name_of_ours_has_no_registry(name: str, ours: bool) -> None:
    assert image.is_ours(name) is ours
