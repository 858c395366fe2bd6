"""Claim what every training with checkpoints promises, for whichever lab it is."""

from torch import Tensor

from labs.kit.distributed.checkpoints import Checkpoints
from labs.kit.runner.lab import Lab
from labs.kit.topics.tasks import fingerprint


def judge(
    lab: Lab, kept: Checkpoints, steps: int, ours_P: Tensor, calm_P: Tensor, *, tolerance: float, because: str
) -> None:
    """Claim that a training ended as an undisturbed one does, and that restarts repeated no more than they may.

    With three ranks or more a restart may sum in another order, so there the weights agree within a tolerance only.
    """
    number = f"{lab.notes.lab:02d}"
    text = "with checkpoints, training ends with the weights of an undisturbed one"
    if lab.world.size <= 2:
        lab.equal(f"{number}.same", f"{text}, by hash", fingerprint(ours_P), fingerprint(calm_P))
    else:
        lab.close(f"{number}.same", text, ours_P, calm_P, tolerance=tolerance, because=because)
    text, allowed = (
        "restarts repeat no more steps than those since a checkpoint",
        kept.every * (kept.restarts + kept.passed_over),
    )
    repeated = kept.steps_done - steps
    lab.count(
        f"{number}.repeated",
        text,
        repeated,
        at_least=0,
        at_most=allowed,
        unit="steps",
        because="one interval for each restart",
    )
