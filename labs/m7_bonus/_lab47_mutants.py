"""The known mistakes of lab 47."""

from labs.kit import Equivalent, Mutant
from labs.m7_bonus.lab47_adversarial_example_generation import (
    anywhere,
    beyond,
    fgsm,
    gain_per_epsilon,
    hardened,
    noise,
    pgd,
    targeted,
)

STEP = "moving_NCHW + epsilon / 4 * input_gradient(model, moving_NCHW, y_N).sign()"
DOWN = "moving_NCHW - epsilon / 4 * input_gradient(model, moving_NCHW, target_N).sign()"
BOX = "torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)"

MUTANTS = (
    Mutant("steps too far", fgsm, "x_NCHW + epsilon *", "x_NCHW + 1.5 * epsilon *"),
    Mutant("steps half the way", fgsm, "x_NCHW + epsilon *", "x_NCHW + 0.5 * epsilon *"),
    Mutant("forgets the sign", fgsm, ".sign()", ""),
    Mutant("helps the network", fgsm, "x_NCHW + epsilon *", "x_NCHW - epsilon *"),
    Mutant("leaves the image's range", fgsm, ".clamp(0, 1)", ""),
    Mutant("moves only one way", fgsm, ".sign()", ".sign().clamp(min=0)"),
    Mutant("is not heard at all", noise, "epsilon * coins_NCHW", "0 * epsilon * coins_NCHW"),
    Mutant("is four times as loud", noise, "epsilon * coins_NCHW", "4 * epsilon * coins_NCHW"),
    Mutant("takes too large an ε for the first order", gain_per_epsilon, "y_N, epsilon))", "y_N, 0.1))"),
    Mutant("asks the wrong way", beyond, "x_adv_NCHW - x_NCHW", "x_adv_NCHW + x_NCHW"),
    Mutant("asks in float64", beyond, "x_adv_NCHW - x_NCHW", "x_NCHW - x_NCHW"),
    Mutant("returns its start", pgd, STEP, "moving_NCHW"),
    Mutant("forgets the box", pgd, BOX, "stepped_NCHW.clamp(0, 1)"),
    Mutant("begins at the image", pgd, "moving_NCHW = start_NCHW", "moving_NCHW = x_NCHW"),
    Mutant(
        "asks only once",
        pgd,
        STEP,
        "moving_NCHW + epsilon / 4 * input_gradient(model, start_NCHW, y_N).sign()",
    ),
    Mutant("comes back at the end only", pgd, BOX, f"{BOX} if _ == steps - 1 else stepped_NCHW"),
    Mutant("takes whole steps", pgd, "epsilon / 4 *", "epsilon *"),
    Mutant("takes one step", pgd, "range(steps)", "range(1)"),
    Mutant("goes down", pgd, "moving_NCHW + epsilon / 4", "moving_NCHW - epsilon / 4"),
    Mutant(
        "leaves the image's range on the way",
        pgd,
        BOX,
        "torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon)",
    ),
    Mutant("flees the target", targeted, "moving_NCHW - epsilon / 4", "moving_NCHW + epsilon / 4"),
    Mutant("steers once", targeted, "range(steps)", "range(1)"),
    Mutant("steers by half of each step", targeted, "epsilon / 4 *", "epsilon / 8 *"),
    Mutant("leaves the box", targeted, BOX, "stepped_NCHW.clamp(0, 1)"),
    Mutant(
        "steers without looking again",
        targeted,
        DOWN,
        "moving_NCHW - epsilon / 4 * input_gradient(model, x_NCHW, target_N).sign()",
    ),
    Mutant("is brought back at the end only", targeted, BOX, f"{BOX} if _ == steps - 1 else stepped_NCHW"),
    Mutant("trains on the digits after all", hardened, "epsilon=epsilon", "epsilon=0.0"),
    Mutant(
        "begins outside of the box",
        anywhere,
        "2 * torch.rand_like(x_NCHW) - 1",
        "5 * torch.rand_like(x_NCHW) - 1",
    ),
)

CLAMP = "torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon)"
TURNED = "torch.clamp(x_NCHW - epsilon, stepped_NCHW, x_NCHW + epsilon)"
MIDDLE = "the middle one of three numbers is the same whichever of the lower two stands first"

EQUIVALENT = (Equivalent(pgd, CLAMP, TURNED, MIDDLE), Equivalent(targeted, CLAMP, TURNED, MIDDLE))
