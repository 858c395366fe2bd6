"""Records that are kept as a reference: they open, they tell on what they were made, and nothing in them failed."""

from pathlib import Path

import pytest

from scripts.bench import reference
from tests.conftest import ROOT

FOLDERS = sorted(path for path in (ROOT / "bench" / "reference").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_kept_opens_and_names_hardware_and_versions(folder: Path) -> None:
    runs = reference.references(folder)
    assert {run.status for run in runs} == {"held"}
    assert all(run.machine["cores"] and run.versions["torch"] and run.git and run.claims for run in runs)
    assert all(rank.device for run in runs for rank in run.ranks)
    assert (folder / "README.md").read_text(encoding="utf-8") == reference.overview(folder.name, runs)


def test_a_run_is_kept_without_the_prose_that_the_lab_has_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "bench")
    monkeypatch.setattr(reference, "REFERENCES", tmp_path / "bench" / "reference")
    run = reference.references(FOLDERS[0])[0]
    run.sections = {"Question": "Why?"}
    run.save(tmp_path)
    assert reference.main(["here", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "kept in bench/reference/here\n"
    (kept,) = reference.references(tmp_path / "bench" / "reference" / "here")
    assert kept == run.model_copy(update={"sections": {}})
    assert f"| {run.lab:02d} | {run.title} |" in (tmp_path / "bench/reference/here/README.md").read_text(
        "utf-8"
    )
