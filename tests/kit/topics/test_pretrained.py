"""Which weights a lab used is said by the run itself, and only whole and unchanged ones are used."""

import hashlib
from pathlib import Path

import pytest
import torch

from labs import record
from labs.errors import UsageError
from labs.fetch import assets
from labs.fetch.assets import Asset, Source
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import blank
from labs.kit.topics.pretrained import pretrained


@pytest.fixture
def lab(tiny: Lesson) -> Lab:
    return Lab(tiny, blank(tiny, tiny.config(), smoke=True), RunContext())


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a network of one layer, where torchvision would look for those of resnet18."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "net.pth"
    path.parent.mkdir(parents=True)
    torch.save({"weight": torch.arange(3.0)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(
        Asset, "sources", lambda self: [Source("http://nowhere.invalid/net.pth", "sha256", digest)]
    )
    return path


def rows(lab: Lab) -> list[list[str]]:
    (table,) = lab.notes.opening
    assert isinstance(table, record.Table)
    return table.rows


def test_fetched_weights_are_used_and_named(lab: Lab, file: Path) -> None:
    weights = pretrained(lab, "resnet18")
    assert weights is not None
    assert weights["weight"].tolist() == [0, 1, 2]
    assert rows(lab)[0][:2] == ["resnet18", "ResNet18_Weights.IMAGENET1K_V1"]
    assert rows(lab)[0][2].startswith("sha256 ")


@pytest.mark.parametrize("damaged", [True, False])
def test_without_them_the_run_says_that_it_used_none(lab: Lab, file: Path, damaged: bool) -> None:
    file.write_bytes(b"damaged") if damaged else file.unlink()
    assert pretrained(lab, "resnet18") is None
    assert rows(lab) == [["resnet18", "random", "labs fetch resnet18 brings ResNet18_Weights.IMAGENET1K_V1"]]


def test_only_what_can_be_fetched_can_be_asked_for(lab: Lab) -> None:
    with pytest.raises(UsageError, match="nothing called vgg to fetch"):
        pretrained(lab, "vgg")
    assert {asset.name for asset in assets.ASSETS if asset.is_weights} == {"resnet18", "vgg19"}
