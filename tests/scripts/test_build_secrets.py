"""scripts/images/build_secrets.py: what a build is lent is this person's own configuration, and is taken back."""

from pathlib import Path

import pytest

from scripts.images import build_secrets


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without any configuration."""
    names = [*build_secrets.ENVIRONMENT, *map(str.upper, build_secrets.ENVIRONMENT)]
    for name in (*names, *build_secrets.CERTIFICATES, "PIP_CONFIG_FILE", "PIP_FIND_LINKS", "APT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(build_secrets, "PIP_CONFS", (str(tmp_path / "own.conf"), str(tmp_path / "site.conf")))


def secrets(wheels: Path) -> dict[str, str]:
    """Return what a build is lent, by its name."""
    with build_secrets.build_secrets(wheels) as options:
        pairs = [dict(part.split("=", 1) for part in option.split(",")) for option in options[1::2]]
        return {pair["id"]: Path(pair["src"]).read_text(encoding="utf-8") for pair in pairs}


def test_where_pip_and_apt_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site.pem").write_text("a certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "site.pem"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:it's@mirror.invalid/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    assert secrets(tmp_path) == {
        "environment": "export HTTPS_PROXY=http://proxy.invalid:3128\n"
        "export PIP_INDEX_URL='https://me:it'\"'\"'s@mirror.invalid/simple'\n",
        "certificates": "a certificate",
    }


def test_a_configuration_that_points_to_this_machines_folders_is_not_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.conf").write_text("[global]\nfind-links = /opt/wheels\n")
    assert "pip.conf" not in secrets(tmp_path)
    (tmp_path / "site.conf").write_text("[global]\ntimeout = 60\n")
    assert secrets(tmp_path)["pip.conf"] == "[global]\ntimeout = 60\n"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "own.conf"))
    assert "find-links" in secrets(tmp_path)["pip.conf"]


def test_wheels_are_there_as_long_as_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "links", tmp_path / "wheels"
    source.mkdir()
    target.mkdir()
    for path in (source / "new.whl", source / "both.whl"):
        path.write_text("from PIP_FIND_LINKS")
    (target / "both.whl").write_text("the person's own")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    with build_secrets.build_secrets(target):
        assert (target / "new.whl").read_text() == "from PIP_FIND_LINKS"
        assert (target / "both.whl").read_text() == "the person's own"
    assert [path.name for path in target.iterdir()] == ["both.whl"]
