"""The claims that a part makes: each is one call that reads as a sentence, takes an id such as `01.shared`, and tells whether it held."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from labs import record
from labs.kit.distributed.devices import CPU
from labs.kit.measure import timing
from labs.kit.runner import claims
from labs.kit.runner.claims import Number, Outcome, Tolerance
from labs.kit.runner.reading import Sentence, callees_of
from labs.kit.runner.showing import Showing

if TYPE_CHECKING:
    from labs.kit.runner.lesson import Lesson

NOISY = ("ratio", "stat")  # rank 0's samples are judged, and only in full runs


class Judging(Showing):
    """The part of `Lab` that judges. `needs=` names what a claim cannot be measured without: see needs.py."""

    lesson: "Lesson"
    _judged: list[str]
    _judged_before: bool
    lacking: Callable[[str], str]

    def equal(
        self,
        id_: str,
        text: str,
        got: Any,
        want: Any,
        *,
        cases: int | None = None,
        unit: str = "",
        because: str = "",
        needs: str = "",
    ) -> bool:
        """Claim that two things are equal to the last bit.

        `cases` counts what was compared, by default their items; `unit` names them: "400 of 400 layouts".
        """
        return self._claim(id_, text, "exact", because, needs, lambda: claims.equal(got, want, cases, unit))

    def close(self, id_: str, text: str, got: Any, want: Any, *, within: Tolerance, needs: str = "") -> bool:
        """Claim that numbers or tensors agree within a tolerance."""
        return self._claim(id_, text, "close", within.because, needs, lambda: claims.close(got, want, within))

    def bytes(
        self,
        id_: str,
        text: str,
        got: int,
        *,
        want: int | None = None,
        at_least: Number | None = None,
        at_most: Number | None = None,
        because: str,
        needs: str = "",
    ) -> bool:
        """Claim a number of bytes, or limits of it."""
        limits = {"want": want, "at_least": at_least, "at_most": at_most}
        return self._claim(
            id_, text, "bytes", because, needs, lambda: claims.number(got, **limits, unit="bytes")
        )

    def count(
        self,
        id_: str,
        text: str,
        got: Number,
        *,
        want: Number | None = None,
        at_least: Number | None = None,
        at_most: Number | None = None,
        unit: str = "",
        because: str,
        needs: str = "",
    ) -> bool:
        """Claim how many there are of something."""
        limits = {"want": want, "at_least": at_least, "at_most": at_most}
        return self._claim(
            id_, text, "count", because, needs, lambda: claims.number(got, **limits, unit=unit)
        )

    def raises(
        self,
        id_: str,
        text: str,
        action: Callable[[], Any],
        kind: type[Exception],
        message: str,
        *,
        because: str = "",
        needs: str = "",
    ) -> bool:
        """Claim that an action raises this error with this text in its message."""
        return self._claim(id_, text, "raises", because, needs, lambda: claims.raises(action, kind, message))

    def ratio(
        self,
        id_: str,
        text: str,
        first: Callable[[], Any],
        second: Callable[[], Any],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        because: str,
        rounds: int = 15,
        needs: str = "",
    ) -> bool:
        """Claim a bound on seconds of `first` over seconds of `second`, timed in turn. Judged in full runs only."""

        def timed() -> Outcome:
            if self._context.timer:
                arms = self._context.timer(first, second, at_least=at_least, at_most=at_most)
            else:
                few = rounds if self._judges_noisy else min(rounds, 5)
                arms = timing.in_turn(first, second, rounds=few, agree=self.world.agreed, device=self._device)
            return claims.ratio(*arms, at_least=at_least, at_most=at_most)

        return self._claim(id_, text, "ratio", because, needs, timed)

    def stat(
        self,
        id_: str,
        text: str,
        differences: Sequence[float],
        *,
        above: float = 0.0,
        standard_errors: float = 2.0,
        unit: str = "",
        because: str,
        needs: str = "",
    ) -> bool:
        """Claim that paired differences, one for each seed, lie above a bound by so many standard errors. Judged in full runs only."""
        return self._claim(
            id_,
            text,
            "stat",
            because,
            needs,
            lambda: claims.stat(differences, above=above, standard_errors=standard_errors, unit=unit),
        )

    def not_measured(self, sentence: Sentence, reason: str) -> None:
        """Note a claim that cannot be measured here, and why."""
        self._claim(sentence.id, sentence.text, sentence.kind, "", "", lambda: claims.unmeasured(reason))

    @property
    def _device(self) -> torch.device:
        """Return where the part at hand computes."""
        on_device = self._part is not None and self._part.name in self.lesson.on_device
        return self.world.device if on_device else CPU

    @property
    def _judges_noisy(self) -> bool:
        return self._context.timer is not None or not self.notes.smoke

    @property
    def _judges(self) -> list[str]:
        """Return the steps that the next claim judges, and those that they call, by way of a class too."""
        called = callees_of(self._judged, self.lesson.code)
        return [*self._judged, *(name for name in called if name in self.lesson.steps)]

    def _claim(
        self, id_: str, text: str, kind: record.Kind, because: str, needs: str, judge: Callable[[], Outcome]
    ) -> bool:
        if any(earlier.id == id_ for earlier in self.notes.claims):
            raise ValueError(f"the claim {id_} is made twice")
        lacking = self.lacking(needs)
        outcome = claims.unmeasured(lacking) if lacking else judge()
        outcome = claims.together(self.world.gather(f"claim {id_}", outcome), first_only=kind in NOISY)
        held, reason = outcome.held, outcome.reason
        if kind in NOISY and not self._judges_noisy and held is not None:
            held, reason = None, f"smoke; here {outcome.shown}"
        verdict: record.Verdict = "not measured here" if held is None else "held" if held else "failed"
        self._note(
            record.Claim(
                id=id_,
                text=text,
                kind=kind,
                verdict=verdict,
                reason=reason,
                because=because,
                value=outcome.value,
                unit=outcome.unit,
                bound=outcome.bound,
                shown=outcome.shown,
                cases=outcome.cases,
                samples=outcome.samples,
                device=str(self._device),
                part=self._part.number if self._part else 0,
                judges=self._judges,
            )
        )
        return verdict == "held"

    def _note(self, claim: record.Claim) -> None:
        self._judged_before = True
        self.notes.claims.append(claim)
        self._content.append(record.ClaimHere(id=claim.id))
        self._screen.claim(claim)
        guess = next((prediction for prediction in self.notes.predictions if prediction.id == claim.id), None)
        if guess is not None:
            self._screen.answer(guess)
        self._context.on_claim(claim)
