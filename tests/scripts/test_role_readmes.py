"""Each role's README says what its defaults/main.yml says."""

from pathlib import Path

import pytest

from scripts import role_readmes


def role(folder: Path, defaults: str) -> Path:
    for name, text in {"defaults": defaults, "meta": "galaxy_info: {description: Cooks.}\n"}.items():
        (folder / "cook" / name).mkdir(parents=True)
        (folder / "cook" / name / "main.yml").write_text(text)
    return folder / "cook"


def test_all_readmes_are_up_to_date() -> None:
    assert role_readmes.main(["--check"]) == 0


def test_a_variable_is_a_row_with_its_value_and_its_whole_comment(tmp_path: Path) -> None:
    text = "# What to cook,\n# a | b.\ncook_meal: soup\n\n# Guests.\ncook_guests:\n  - {name: ada}\n\n# None.\ncook_salt: []\n"
    assert role_readmes.readme(role(tmp_path, text)).splitlines()[2:-2] == [
        "Cooks.",
        "",
        "| variable | without it | meaning |",
        "| --- | --- | --- |",
        "| `cook_meal` | `soup` | What to cook, a \\| b. |",
        "| `cook_guests` | `[{name: ada}]` | Guests. |",
        "| `cook_salt` | nothing | None. |",
    ]


def test_a_variable_without_a_comment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not explain cook_meal"):
        role_readmes.readme(role(tmp_path, "# Salt.\ncook_salt: 1\ncook_meal: soup\n"))


def test_what_is_stale_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    role(tmp_path, "# Salt.\ncook_salt: 1\n")
    monkeypatch.setattr(role_readmes, "ROLES", tmp_path)
    monkeypatch.setattr(role_readmes, "ROOT", tmp_path)
    assert role_readmes.main(["--check"]) == 1
    assert "cook/README.md is not up to date" in capsys.readouterr().err
    assert role_readmes.main([]) == 0
    assert role_readmes.main(["--check"]) == 0
