"""Judge a learner's steps: by the examples of their contracts, by what they do beside the lab's own, and by the lab's claims."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from time import monotonic
from typing import Any

from labs import record
from labs.kit.attempt import mistakes
from labs.kit.attempt.case import Case
from labs.kit.attempt.comparison import Finding, smaller
from labs.kit.attempt.example import wrong_example
from labs.kit.attempt.runs import Runs
from labs.kit.attempt.watch import Watcher
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.bench import distinct_arms
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import OutOfTime, Stopwatch
from labs.kit.runner.marks import marks_of
from labs.kit.runner.mutants import mutated
from labs.kit.runner.step_cache import StepCache

SEARCH_S = 30.0  # how long known mistakes are tried
UNTIMED = RunContext(timer=distinct_arms)  # for runs whose ratios nobody judges


class Judge:
    """Judges the exercises of one lab. On several processes all of them go through this together."""

    def __init__(self, file: WorkFile, world: World, cfg: Any, wanted: Iterable[str], *, smoke: bool) -> None:
        self.file = file
        self.lesson: Lesson = file.lesson
        self.runs = Runs(self.lesson, cfg, world, file.printed, smoke=smoke)
        self.world = self.runs.world
        self.memory = StepCache()
        self.wanted = {id_: name for id_, name in self.lesson.exercises.items() if id_ in set(wanted)}
        self.cases = {name: Case(id_, name) for id_, name in self.wanted.items() if name in file.written}

    def run(self, notes: record.Run, context: RunContext) -> None:
        """Fill in the notes of a run with the learner's steps in place, and how each exercise was judged."""
        for case in self.cases.values():
            case.example = self._wrong_example(case.name)
        self._watch()
        undecided = [case for case in self.cases.values() if not case.settled]
        self._run_with([case.name for case in undecided], self.parts(*self.cases), context, notes)
        self.file.printed.close_all()
        for case in undecided:
            self._by_claims(case, notes, [other.name for other in undecided if other is not case])
        notes.exercises = self.verdicts()

    def parts(self, *names: str) -> frozenset[str]:
        """Return the parts that reach these steps: all claims that judge them lie there."""
        return frozenset().union(*(self.lesson.parts_that_reach(name) for name in names))

    def verdicts(self) -> list[record.Exercise]:
        """Return how each exercise was judged, those too that are not written yet."""
        printed = self.file.printed.texts
        return [
            self.cases[name].verdict(printed.get(name, ""), marks_of(self.lesson.steps[name]).insight)
            if name in self.cases
            else record.Exercise(id=id_, step=name, judgement="not written yet")
            for id_, name in self.wanted.items()
        ]

    # Before the claims ------------------------------------------------------------------------------------------------

    def _wrong_example(self, name: str) -> Finding | None:
        """Try the example of a contract, on rank 0 alone."""
        found = wrong_example(self.file, name) if self.world.first else None
        shown: Finding | None = self.world.gather("example", found)[0]
        return shown

    def _watch(self) -> None:
        """Run the lab with its own steps, and the learner's beside them."""
        names = [name for name in self.cases if not self._reaches_fresh(name)]
        others = self.cases.keys() - set(names)
        for name in others:
            self.cases[
                name
            ].watched.not_compared = "what it does outlives the call, so it is called once only"
        parts = self.parts(*names) - self.parts(*others)
        if not parts:
            return
        taken, broke = Stopwatch(), False
        if self.world.size > 1:
            self.runs.run({}, parts, self.memory, UNTIMED)
            self.runs.be_patient(taken.seconds)
        while names:
            broke = self._watch_once(names, parts).status == "broke"
            stuck = {name for name in names if self.cases[name].watched.stuck}
            if self.world.size == 1 or not stuck:
                break
            names = [name for name in names if name not in stuck]
        if not broke:  # else it is not known how long the lab's own steps take
            self.runs.bound(taken.seconds)

    def _watch_once(self, names: list[str], parts: frozenset[str]) -> record.Run:
        watcher = Watcher(self.file, names, self.runs.next_world())
        cache = self._cache(names) if self.memory.calls else self.memory
        notes = self.runs.run(watcher.replacements(), parts, cache, UNTIMED, world=watcher.world)
        self.file.printed.close_all()
        everywhere = self.world.gather("watched", (watcher.watched, self.file.printed.texts))
        for name, seen in watcher.watched.items():
            ranks = [others[name] for others, _ in everywhere]
            self.cases[name].watched = replace(
                seen,
                different=max(rank.different for rank in ranks),
                smallest=_of_all([rank.smallest for rank in ranks]),
                layout=_of_all([rank.layout for rank in ranks]),
                changed=_of_all([rank.changed for rank in ranks]),
                stuck=_stuck([rank.stuck for rank in ranks]),
                not_compared=next(filter(None, (rank.not_compared for rank in ranks)), ""),
            )
            if printed := next((texts[name] for _, texts in everywhere if texts.get(name)), ""):
                self.file.printed.texts[name] = printed
        return notes

    def _reaches_fresh(self, name: str) -> bool:
        """Tell whether a step, or one that calls it, does what outlives the call."""
        callers = self.lesson.reached_from(name) & self.lesson.steps.keys()
        return any(marks_of(self.lesson.steps[caller]).fresh for caller in callers)

    # By the claims ----------------------------------------------------------------------------------------------------

    def _by_claims(self, case: Case, notes: record.Run, others: list[str]) -> None:
        """Judge one step by the run with all of them, or by one with it alone where another may be to blame."""
        fresh = self._reaches_fresh(case.name)
        beside = self.parts(*others) & self.parts(case.name)
        unclear = notes.status != "held" or case.raised if beside else others and notes.status == "broke"
        if unclear and not fresh:
            case.raised = ""
            notes = self._run_with([case.name], self.parts(case.name), RunContext())
        notes = self._in_parts_of(case.name, notes)
        if case.raised:
            return
        if notes.status == "broke":
            endless = OutOfTime.__name__ in notes.error
            stopped = f"with it the lab does not end; it was stopped after {self.runs.limit_s:.0f} s"
            case.blamed = stopped if endless else f"with it the {notes.error}"
            return
        failed = [claim for claim in notes.claims if claim.verdict == "failed"]
        if fresh:  # it cannot run once more alone, nor the lab's own in its place
            guilty = [claim for claim in failed if case.name in claim.judges]
        else:
            innocent = self._failing_anyway(case.name) if failed else set()
            guilty = [claim for claim in failed if claim.id not in innocent]
        if guilty:
            case.claims = [claim.id for claim in guilty]
            case.blamed = f"claim {guilty[0].id}: {guilty[0].text} {guilty[0].reason}"
            case.mistake = "" if fresh else mistakes.recognized(notes, self._known_mistakes(case.name))
        elif failed and not fresh:
            case.unsure = f"claim {failed[0].id} fails here with the lab's own step, too"
        else:
            self._unless_unmeasured(case, notes)

    def _in_parts_of(self, name: str, notes: record.Run) -> record.Run:
        """Return the notes with no other claims than those of the parts that reach a step."""
        parts = {part.number for part in notes.parts if part.name in self.parts(name)}
        return notes.model_copy(update={"claims": [claim for claim in notes.claims if claim.part in parts]})

    def _unless_unmeasured(self, case: Case, notes: record.Run) -> None:
        """Note which of the claims that judge a step were not measured here: then nobody knows whether it is right."""
        tied = [claim for claim in notes.claims if case.name in claim.judges]
        skipped = [
            claim for claim in notes.claims if not claim.judges and claim.verdict == "not measured here"
        ]
        unmeasured = [claim for claim in tied or skipped if claim.verdict != "held"]
        if unmeasured:
            case.claims = [claim.id for claim in unmeasured]
            case.missing = unmeasured[0].reason
            case.unsure = f"claim {unmeasured[0].id} was not measured here: {case.missing}"
        elif not tied:
            case.unsure = "no claim judges it"

    def _failing_anyway(self, name: str) -> set[str]:
        """Return the claims that fail on this machine with the lab's own steps, too."""
        notes = self.runs.run({}, self.parts(name), self._cache([name]), RunContext())
        return {claim.id for claim in notes.claims if claim.verdict == "failed"}

    def _known_mistakes(self, name: str) -> Iterator[tuple[str, record.Run]]:
        """Run the lab with each known mistake of a step, as long as there is time."""
        begun = monotonic()
        for mutant in self.lesson.mutants:
            if mutant.step.__name__ != name:
                continue
            if self.world.agreed(monotonic() - begun) > SEARCH_S:
                return
            try:
                edited = mutated(mutant)
            except ValueError:  # no fair edit, as `labs mutants` says
                continue
            yield mutant.name, self.runs.run({name: edited}, self.parts(name), self._cache([name]), UNTIMED)

    # The learner's functions in place ---------------------------------------------------------------------------------

    def _run_with(
        self, names: list[str], parts: frozenset[str], context: RunContext, notes: record.Run | None = None
    ) -> record.Run:
        """Run parts of the lab with the learner's functions in the place of these steps."""
        guarded = {name: self._guarded(name) for name in names}
        context = replace(context, learner=frozenset(names))
        with self.file.only(*names):
            notes = self.runs.run(guarded, parts, self._cache(names), context, notes=notes)
        self._share_what_was_raised(names, broke=notes.status == "broke")
        return notes

    def _guarded(self, name: str) -> Function:
        """Return the learner's function; where it raises, that is noted and the lab's own step goes on in its place.

        On several processes the lab's own step would wait for the others, so there the run ends, unless the lab expects it.
        """
        case, attempt, step = self.cases[name], self.file.written[name], self.lesson.steps[name]

        @functools.wraps(attempt)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.file.printed.name = name
            try:
                return attempt(*args, **kwargs)
            except (
                Exception,
                SystemExit,
            ) as error:  # whatever the learner's code raises is shown to the learner
                raised = error if isinstance(error, Exception) else RuntimeError("it ends the process")
                words = self.file.raised(error)
            if self.world.size == 1:
                try:
                    result = step(*args, **kwargs)
                except type(raised):  # as the lab expects
                    raise raised from None
                case.raised = case.raised or words
                return result
            case.raised = case.raised or words
            raise raised

        return guarded

    def _share_what_was_raised(self, names: list[str], *, broke: bool) -> None:
        """Let every rank know what was raised on any, so that all go on alike."""
        if self.world.size == 1:
            return
        everywhere = self.world.gather("raised", {name: self.cases[name].raised for name in names})
        for name in names:
            words = [
                f"on rank {rank} {raised[name]}" for rank, raised in enumerate(everywhere) if raised[name]
            ]
            self.cases[name].raised = words[0] if words and broke else ""

    def _cache(self, names: list[str]) -> StepCache:
        """Return a memory for a run in which all that these steps can touch is computed anew.

        A function whose calls could not be watched may change what others remember; then only `fresh` steps are remembered,
        which cannot run twice in one process.
        """
        steps = self.lesson.steps
        touched = frozenset().union(*map(self.lesson.reached_from, names))
        if any(self.cases[name].watched.not_compared for name in names):
            touched |= {name for name, step in steps.items() if not marks_of(step).fresh}
        return StepCache(self.memory, touched)


def _stuck(findings: list[Finding | None]) -> Finding | None:
    """Return where ranks got stuck: all in one call, whose words name the rank, or one of them in a call of its own."""
    found = [(rank, finding) for rank, finding in enumerate(findings) if finding]
    if not found:
        return None
    rank, first = found[0]
    return first if len(found) == len(findings) else replace(first, on_rank=rank)


def _of_all(findings: list[Finding | None]) -> Finding | None:
    """Return the finding with the smallest input of all ranks."""
    on_ranks = [replace(found, on_rank=rank) for rank, found in enumerate(findings) if found]
    return functools.reduce(smaller, on_ranks, None) if len(findings) > 1 else findings[0]
