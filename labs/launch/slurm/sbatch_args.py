"""Further options of sbatch, which SBATCH_ARGS= passes on: all but those that the launcher sets itself."""

import shlex

from labs.errors import UsageError

# Each option's short name, if it has one, its long name, and the variable that stands for it.
VARIABLES = [
    ("-N", "--nodes", "NODES"),
    ("-n", "--ntasks", "PROCS"),
    ("", "--ntasks-per-node", "PROCS"),
    ("-G", "--gpus", "GPUS"),
    ("", "--gpus-per-node", "GPUS"),
    ("-t", "--time", "TIME"),
    ("", "--mem", "MEMORY"),
    ("-c", "--cpus-per-task", "CPUS"),
    ("-p", "--partition", "PARTITION"),
    ("-A", "--account", "ACCOUNT"),
    ("-q", "--qos", "QOS"),
    ("", "--reservation", "RESERVATION"),
    ("-C", "--constraint", "CONSTRAINT"),
]
# The launcher finds a job, its output and its end by these.
OWN = [
    ("-o", "--output"), ("-e", "--error"), ("-i", "--input"), ("", "--open-mode"), ("-a", "--array"), ("", "--wrap"), ("-W", "--wait"),
    ("", "--test-only"), ("", "--parsable"), ("-D", "--chdir"), ("", "--export"), ("", "--export-file"), ("", "--signal"),
    ("-J", "--job-name"), ("-M", "--clusters"), ("-h", "--help"), ("", "--usage"), ("-V", "--version"),
]  # fmt: skip


def words(text: str) -> list[str]:
    """Return SBATCH_ARGS as words. Raises UsageError for what is no option, or not to be set this way."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"SBATCH_ARGS={text} cannot be read: {error}\nclose each quotation mark") from None
    if found and not found[0].startswith("-"):
        raise UsageError(
            f"SBATCH_ARGS={text} begins with no option\ngive options of sbatch, such as SBATCH_ARGS='--mail-type=END'"
        )
    if not text.isprintable():
        raise UsageError("SBATCH_ARGS has a control character in it\ngive options of sbatch in one line")
    for word in found:
        _check(word)
    return found


def _check(word: str) -> None:
    for short, long, variable in VARIABLES:
        if _means(word, short, long):
            raise UsageError(f"SBATCH_ARGS: {word} has a variable of its own\nsay {variable}= in its place")
    for short, long in OWN:
        if _means(word, short, long):
            raise UsageError(f"SBATCH_ARGS: {word} is set by the launcher itself\nleave it out")


def _means(word: str, short: str, long: str) -> bool:
    """Tell whether a word is this option; sbatch also takes the beginning of a long name."""
    name = word.partition("=")[0]
    if name.startswith("--"):
        return len(name) > 2 and long.startswith(name)
    return bool(short) and word.startswith(short)
