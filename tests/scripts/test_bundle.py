"""scripts/bundle.py: what is packed, with checksums that notice a change. Nothing is fetched here."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts import bundle
from scripts.environment.pip import Pip
from scripts.environment.screen import SetupError
from scripts.environment.torch_source import Source
from scripts.hosts import repository


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what pip is asked for, and let it find one wheel; let weights be one file."""
    words: list[str] = []

    def wheel(self: Pip, phase: object, folder: Path, *arguments: str, **environ: str) -> None:
        words.extend(arguments)
        (folder / "rich-1.0-py3-none-any.whl").write_bytes(b"a wheel")

    def weights(folder: Path, origin: str) -> None:
        (folder / "hub").mkdir(parents=True, exist_ok=True)
        (folder / "hub" / "net.pth").write_bytes(b"weights")
        (folder / "hub" / "cut-off.pth.part").write_bytes(b"half")

    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "read_stamp", lambda: ("cpu", "0123"))
    monkeypatch.setattr(bundle, "read_project", lambda root: {"build-system": {"requires": ["flit_core"]}})
    monkeypatch.setattr(bundle, "read_versions", lambda path: {})
    monkeypatch.setattr(
        bundle,
        "source",
        lambda flavour, versions: Source("cpu", ("torch==2.13.0",), ("--index-url", "x"), "elsewhere"),
    )

    def packages(suite: str) -> Path:
        folder = tmp_path / "kept" / suite
        folder.mkdir(parents=True)
        (folder / "munge_0.5_amd64.deb").write_bytes(b"a package")
        (folder / "Packages").write_text("Package: munge\n")
        return folder

    monkeypatch.setattr(repository, "of", packages)
    monkeypatch.setattr(bundle, "require_root", lambda: None)
    monkeypatch.setattr(bundle, "install", lambda yes, needed: None)
    monkeypatch.setattr(Pip, "wheel", wheel)
    monkeypatch.setattr(bundle, "get_weights", weights)
    return words


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return sorted(name.partition("/")[2] for name in tar.getnames())


def test_wheels_of_all_that_is_installed_and_weights(asked: list[str], tmp_path: Path) -> None:
    archive = bundle.bundle(weights=True)
    assert archive.parent == tmp_path / "dist"
    assert names(archive) == [
        "README.txt",
        "SHA256SUMS",
        "torch/hub/net.pth",
        "wheels/rich-1.0-py3-none-any.whl",
    ]
    assert asked[:3] == ["torch==2.13.0", "--index-url", "x"]
    assert {"flit_core", "pip", "setuptools"} < set(asked)
    assert any(word.startswith("rich==") for word in asked)
    assert "TORCH_HOME=/path/to/labs-cpu-" in (tmp_path / "dist" / archive.stem / "README.txt").read_text(
        encoding="utf-8"
    )


def test_weights_of_an_earlier_bundle_stay_out_of_one_without(asked: list[str], tmp_path: Path) -> None:
    bundle.bundle(weights=True)
    archive = bundle.bundle(weights=False)
    assert names(archive) == ["README.txt", "SHA256SUMS", "wheels/rich-1.0-py3-none-any.whl"]
    assert "TORCH_HOME" not in (tmp_path / "dist" / archive.stem / "README.txt").read_text(encoding="utf-8")


def test_packages_for_the_hosts_of_a_cluster_are_a_folder_for_apt(asked: list[str], tmp_path: Path) -> None:
    archive = bundle.bundle(weights=False, suite="bookworm")
    packed = {name for name in names(archive) if name.startswith("debian/")}
    assert packed == {"debian/bookworm/Packages", "debian/bookworm/munge_0.5_amd64.deb"}
    readme = (tmp_path / "dist" / archive.stem / "README.txt").read_text(encoding="utf-8")
    assert f"file:/path/to/{archive.stem}/debian/bookworm ./" in readme
    assert not any("debian" in name for name in names(bundle.bundle(weights=False)))


def test_the_checksums_notice_a_change(asked: list[str], tmp_path: Path) -> None:
    with tarfile.open(bundle.bundle(weights=True)) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    (folder,) = (tmp_path / "there").iterdir()
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    (folder / "torch" / "hub" / "net.pth").write_bytes(b"Weights")
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).returncode == 1


def test_without_a_venv_there_is_nothing_to_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "read_stamp", lambda: ("", ""))
    with pytest.raises(SetupError, match="say `make setup` first"):
        bundle.bundle(weights=False)
