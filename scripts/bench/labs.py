"""The figures of one machine: commands that must feel instant, each lab as a person runs it, and what launching costs."""

import sys
from collections.abc import Iterator
from statistics import median

from labs.catalog import Entry
from scripts.bench import past
from scripts.bench.figures import Figure
from scripts.bench.runner import BIN, LABS, Runner, Sample, failures, seconds

ALONE, TOGETHER = 1, 43  # the labs on which launching one process, and two, is compared with other ways
COMMANDS = ("list", "show 1", "--help", "run 1 --dry-run")
LIBRARIES = "import typer, pydantic"  # what a command line of this kind takes before it does anything
PAIRS = 4  # in each round: processor time in hundredths of a second is noisy


def figures(runner: Runner, entries: list[Entry], *, rounds: int, quick: bool) -> Iterator[Figure]:
    """Measure everything, one figure after the other."""
    yield from commands(runner, rounds)
    yield command_overhead(runner, rounds)
    yield from past.figures(runner, rounds)
    yield from set_up(runner, rounds)
    for entry in entries:
        yield from lab(runner, entry, "--smoke")
        if not quick:
            yield from lab(runner, entry)
        if entry.number == ALONE:
            yield overhead(runner, entry, "--smoke", rounds=rounds)
        if entry.number == TOGETHER:
            yield from starters(runner, entry, rounds=1 if quick else 3)


def commands(runner: Runner, rounds: int) -> Iterator[Figure]:
    """Time the commands that must feel instant."""
    for words in COMMANDS:
        _warms_the_cache, *samples = [runner.run(LABS, *words.split()) for _ in range(rounds + 1)]
        yield Figure(f"labs {words}", "s", "≤ 0.3", seconds(samples), failures(samples))


def command_overhead(runner: Runner, rounds: int) -> Figure:
    """Compare what `labs list` takes of the processors with the import of its libraries, in turn."""
    import_, list_ = (sys.executable, "-c", LIBRARIES), (LABS, "list")
    _warms_the_cache, *pairs = [(runner.run(*list_), runner.run(*import_)) for _ in range(PAIRS * rounds + 1)]
    ratios = [ours.cpu_seconds / theirs.cpu_seconds for ours, theirs in pairs]
    note = f"processor time{failures([ours for ours, _ in pairs])}"
    return Figure(f"labs list against python -c '{LIBRARIES}'", "×", "≤ 1.5", ratios, note)


def set_up(runner: Runner, rounds: int) -> Iterator[Figure]:
    """Time set-up where there is nothing to do. Where there is, do not do it: who measures changes nothing."""
    if runner.run("make", "--question", "setup").status:
        return
    samples = [runner.run("make", "--silent", "setup") for _ in range(rounds)]
    yield Figure("make setup, nothing to do", "s", "≤ 0.05", seconds(samples), failures(samples))


def lab(runner: Runner, entry: Entry, *options: str) -> Iterator[Figure]:
    """Run a lab once, as a person would."""
    sample = runner.run(LABS, "run", str(entry.number), *options)
    name = name_of(entry, *options)
    limit_s, limit_mib = ("≤ 60", "≤ 2048") if options else ("≤ 180", "≤ 4096")
    yield Figure(name, "s", limit_s, [sample.seconds], verdicts(runner, entry) + failures([sample]))
    yield Figure(f"{name}, peak memory", "MiB", limit_mib, [sample.peak_mib], "of the largest process")


def overhead(runner: Runner, entry: Entry, *options: str, rounds: int) -> Figure:
    """Run a lab by our command and by plain Python, in turn, and compare: that is what launching costs."""
    ours = (LABS, "run", str(entry.number), *options)
    plain = (sys.executable, "-m", entry.import_name, *options)
    pairs = [(runner.run(*ours), runner.run(*plain)) for _ in range(rounds)]
    # Others on the machine disturb the processors' time less than the clock's.
    by_cpu = median(ours.cpu_seconds / plain.cpu_seconds for ours, plain in pairs)
    ratios = [ours.seconds / plain.seconds for ours, plain in pairs]
    what = f"{name_of(entry, *options)}: labs run against python -m"
    return Figure(what, "×", "≤ 1.05", ratios, f"{by_cpu:.3f} × in processor time")


def starters(runner: Runner, entry: Entry, rounds: int) -> Iterator[Figure]:
    """Run a distributed lab by our command, by bare torchrun and by TorchX's local scheduler, in turn, and compare."""
    runner.environ |= {"PATH": f"{BIN}:{runner.environ['PATH']}"}  # where TorchX looks for torchrun
    count = entry.processes
    program = ("-m", entry.import_name)
    torchrun = (str(BIN / "torchrun"), "--standalone", f"--nproc-per-node={count}", *program, "--smoke")
    local = ("run", "-s", "local_cwd", "dist.ddp", "-j", f"1x{count}", *program, "--", "--smoke")
    ways = ((LABS, "run", str(entry.number), "--smoke"), torchrun, (runner.torchx(), *local))
    ours, *others = zip(*[[runner.run(*way) for way in ways] for _ in range(rounds)], strict=True)
    name = f"{name_of(entry, '--smoke')}, {count} processes"
    for other, theirs in zip(("bare torchrun", "TorchX, local_cwd"), others, strict=True):
        yield against(f"{name}: labs run against {other}", "< 1", list(ours), list(theirs))


def against(what: str, target: str, ours: list[Sample], theirs: list[Sample]) -> Figure:
    """Return how long we take beside another way, run in turn."""
    pairs = list(zip(seconds(ours), seconds(theirs), strict=True))
    sooner = median(other - own for own, other in pairs)
    note = f"{sooner:.1f} s sooner{failures([*ours, *theirs])}"
    return Figure(what, "×", target, [own / other for own, other in pairs], note)


def name_of(entry: Entry, *options: str) -> str:
    return " ".join((f"lab {entry.number:02d}", *options))


def verdicts(runner: Runner, entry: Entry) -> str:
    """Say how many claims held in the newest run."""
    claims = runner.record(entry).get("claims", [])
    return f"{sum(claim['verdict'] == 'held' for claim in claims)} of {len(claims)} claims held"
