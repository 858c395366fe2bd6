"""pip as set-up runs it: real pip, on wheels made here; what it prints becomes one sentence."""

import re
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.environment import install
from scripts.environment.pip import Pip, cause, progress
from scripts.environment.screen import Phase, SetupError
from scripts.environment.torch_source import OWN_INDEX, Source


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "set PIP_CERT"),
        ("ProxyError('Cannot connect to proxy.', NewConnectionError(", "check HTTPS_PROXY"),
        (
            "Retrying after NewConnectionError: Connection refused\nERROR: No matching distribution found for x",
            "pip cannot reach a package index",
        ),
        (
            "(from versions: none)\nERROR: No matching distribution found for torch==9",
            "cannot be reached, or has no torch==9",
        ),
        (
            "(from versions: 1.0)\nERROR: No matching distribution found for torch==9",
            "pip finds no torch==9 for Python",
        ),
        ("ERROR: ResolutionImpossible: for help", "`make lock`"),
        ("ERROR: Something new.", "pip failed: Something new"),
        ("", "pip failed"),
    ],
)
def test_a_failure_in_one_sentence(output: str, sentence: str) -> None:
    assert sentence in cause(output)
    assert "\n" not in cause(output)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Collecting torch===2.13.0\n", "collecting torch===2.13.0"),
        (
            "  Downloading http://127.0.0.1/x/einops-0.8.2-py3-none-any.whl (64 kB)\n",
            "downloading einops-0.8.2-py3-none-any.whl",
        ),
        ("Installing collected packages: a, b, c\n", "installing 3 packages"),
        ("Requirement already satisfied: numpy\n", ""),
    ],
)
def test_progress(line: str, shown: str) -> None:
    assert progress(line) == shown


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    """The pip of these tests, which sees a site's two builds of torch, a small one and a big one, and nothing else."""
    for version, needs in {"2.13.0": "nvidia-cudnn-cu13", "2.13.0+cpu": "filelock"}.items():
        with zipfile.ZipFile(tmp_path / f"torch-{version}-py3-none-any.whl", "w") as wheel:
            about = f"torch-{version}.dist-info"
            wheel.writestr(
                f"{about}/METADATA",
                f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\nRequires-Dist: {needs}\n",
            )
            wheel.writestr(
                f"{about}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    made = Pip(Path(sys.prefix))
    made.log = tmp_path / "setup.log"
    return made


@pytest.mark.parametrize(
    ("requirement", "version"), [("torch===2.13.0", "2.13.0"), ("torch==2.13.0", "2.13.0+cpu")]
)
def test_which_build_pip_takes_where_a_site_has_both(pip: Pip, requirement: str, version: str) -> None:
    assert pip.resolve(Phase("test"), "--no-deps", requirement)[0]["version"] == version


def test_the_size_of_the_big_build_is_said_beforehand(
    pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(install, "require_disk", lambda _, flavour: asked.append(flavour))
    (tmp_path / "torch-2.13.0+cpu-py3-none-any.whl").unlink()
    install.warn_of_the_big_wheel(tmp_path, pip, Source("cpu", ("torch==2.13.0",), (), OWN_INDEX))
    assert asked == ["cuda"]
    assert "about 5 GB" in capsys.readouterr().err


def test_the_small_build_needs_no_warning(
    pip: Pip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install.warn_of_the_big_wheel(tmp_path, pip, Source("cpu", ("torch==2.13.0",), (), OWN_INDEX))
    assert "5 GB" not in capsys.readouterr().err


def test_a_failure_names_the_log_which_has_pips_words(pip: Pip) -> None:
    with pytest.raises(
        SetupError, match=r"has no no-such-package .* pip's own words are in \.venv/setup\.log\.$"
    ):
        pip.install(Phase("test"), "no-such-package")
    assert "No matching distribution found for no-such-package" in pip.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_NO_DEPS", "PIP_DRY_RUN", "PYTHONHOME"]
)
def test_a_variable_that_sends_packages_elsewhere_does_not_reach_pip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "file:///a/mirror")
    environ = Pip(Path(sys.prefix)).environ
    assert name not in environ
    assert environ["PIP_INDEX_URL"] == "file:///a/mirror", (
        "where packages come from is the person's own affair"
    )


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("[install]\ntarget = /elsewhere\n", "install.target='/elsewhere'"),
        ("[global]\nprefix = /elsewhere\n", "global.prefix='/elsewhere'"),
        ("[global]\nindex-url = file:///a/mirror\n", ""),
        ("[download]\nplatform = any\n", ""),
    ],
)
def test_a_configuration_that_sends_packages_elsewhere_is_named(
    pip: Pip, tmp_path: Path, text: str, refused: str
) -> None:
    (tmp_path / "pip.conf").write_text(text)
    pip.environ |= {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    if not refused:
        pip.require_own_place()
        return
    with pytest.raises(
        SetupError, match=re.escape(f"pip's configuration says {refused}, so packages would not land")
    ):
        pip.require_own_place()


def test_never_both_builds_of_onnxruntime() -> None:
    project = install.read_project(Path(__file__).parents[2])
    versions = {"TORCH_VERSION": "2.13.0", "TORCHVISION_VERSION": "0.28.0"}
    for flavour in ("cpu", "cuda", "cu126"):
        names = install.packages(project, flavour, versions, install.EVERYWHERE)
        on_intel = [name for name in names if name.startswith("onnxruntime") and "!=" not in name]
        assert len(on_intel) == 1
        assert ("gpu" in on_intel[0]) == (flavour != "cpu")
        assert "torch==2.13.0" in names


@pytest.mark.parametrize(("flavour", "fails"), [("cpu", False), ("cuda", True), ("cu126", True)])
def test_a_cpu_build_is_no_cuda(flavour: str, fails: bool) -> None:
    have = {"torch": "2.13.0+cpu", "cuda": None, "gpu": False}
    if fails:
        with pytest.raises(SetupError, match="a CPU build"):
            install.require_cuda(flavour, have)
    else:
        install.require_cuda(flavour, have)
