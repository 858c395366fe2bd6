"""What tests of commands share with those of reports: a run that has ended."""

from tests.report.conftest import run, run_folder

__all__ = ["run", "run_folder"]
