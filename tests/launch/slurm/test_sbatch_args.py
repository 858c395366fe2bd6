"""Further options of sbatch, and those that are refused since they have a variable or are the launcher's own."""

import pytest

from labs.errors import UsageError
from labs.launch.slurm import sbatch_args


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("--mail-type=END --exclude=node7", ["--mail-type=END", "--exclude=node7"]),
        ("--comment 'for the course' -x node7", ["--comment", "for the course", "-x", "node7"]),
        ("--mem-bind=local --exclusive", ["--mem-bind=local", "--exclusive"]),
    ],
)
def test_options_are_read_as_a_shell_reads_them(text: str, found: list[str]) -> None:
    assert sbatch_args.words(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--nodes=2", "has a variable of its own\nsay NODES= in its place"),
        ("-N2", "say NODES="),
        ("--exclude=node7 -p lab", "-p has a variable of its own\nsay PARTITION="),
        ("--output=/tmp/x", "is set by the launcher itself\nleave it out"),
        ("--outp=/tmp/x", "is set by the launcher itself"),
        ("--array=1-9", "is set by the launcher itself"),
        ("node7", "begins with no option"),
        ("--comment='open", "cannot be read: No closing quotation"),
        ("--comment='a\n#SBATCH --array=1-9'", "a control character"),
    ],
)
def test_what_is_not_to_be_set_this_way_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^SBATCH_ARGS") as caught:
        sbatch_args.words(text)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
