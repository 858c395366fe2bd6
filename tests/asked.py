"""Tests that are asked for by name: what of them could not run is said, with the reason, and never passes for success."""

from collections import Counter
from pathlib import Path
from typing import NoReturn

import pytest

LACKING = "cannot run here: "
STATUS = 2


def by_name(config: pytest.Config, folder: str) -> bool:
    """Tell whether a command line names this folder of tests, or something in it."""
    return any(folder in Path(argument.partition("::")[0]).parts for argument in config.args)


def is_about_to_run(config: pytest.Config) -> bool:
    """Tell whether this process is the first one of a session that runs tests."""
    return not (hasattr(config, "workerinput") or config.option.collectonly or config.option.help)


def lacks(why: str) -> NoReturn:
    """Skip a test for want of something that it needs, with a sentence that says what, and what to type."""
    pytest.skip(f"{LACKING}{why}")


def watch(config: pytest.Config, folder: str) -> None:
    """Watch a session over a folder of tests, if it is asked for by name. Call this from the folder's `pytest_configure`."""
    if by_name(config, folder) and is_about_to_run(config) and not config.pluginmanager.has_plugin("asked"):
        config.pluginmanager.register(Watch(), "asked")


class Watch:
    """Counts the tests that did not run, by their reasons."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.ran = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.reasons[reason_of(report)] += 1
        elif report.when == "call":
            self.ran += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        lacking = any(reason.startswith(LACKING) for reason in self.reasons)
        if session.exitstatus == pytest.ExitCode.OK and (lacking or not self.ran):
            session.exitstatus = STATUS

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason, count in self.reasons.most_common():
            terminalreporter.write_line(f"{count} not run: {reason.removeprefix(LACKING)}")


def reason_of(report: pytest.TestReport) -> str:
    """Return why a test was skipped, or how it failed where that was expected of it."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(getattr(report, "wasxfail", report.longrepr))
