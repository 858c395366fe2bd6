"""The known mistakes of lab 05."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors._lab05_helpers import (
    autograd_after_data_write,
    fits,
    kept_by,
    network,
    peaks_of_chain,
    slope_of_views,
    slopes,
)
from labs.m1_tensors.lab05_in_place_operations import (
    after,
    attempted,
    counted,
    gradient_after_data_write,
    overwritten,
    refused,
    summed,
    through_views,
    update_mean_,
    verdict,
)

LERP = "mean_N.lerp_(x_N, rate)"
SLOPE = "2 * factor * x * grad"

MUTANTS = (
    Mutant("hands over a clone", after, "STATEMENTS[statement][0](x)", "STATEMENTS[statement][0](x.clone())"),
    Mutant("adds out of place", summed, "x += y", "x = x + y"),
    Mutant("casts whatever comes", summed, "x += y", "x += y.to(x.dtype)"),
    Mutant("forgets which dtype is wider", fits, "torch.promote_types(ours, theirs)", "ours"),
    Mutant("gives the name to a new tensor", update_mean_, LERP, "mean_N = mean_N.lerp(x_N, rate)"),
    Mutant("copies a new mean in", update_mean_, LERP, "mean_N.copy_((1 - rate) * mean_N + rate * x_N)"),
    Mutant("makes one product beside it", update_mean_, LERP, "mean_N.mul_(1 - rate).add_(rate * x_N)"),
    Mutant("writes through .data", update_mean_, LERP, "mean_N.data.lerp_(x_N, rate)"),
    Mutant("goes the other part of the way", update_mean_, LERP, "mean_N.lerp_(x_N, 1 - rate)"),
    Mutant("changes x", update_mean_, LERP, "mean_N.mul_(1 - rate).add_(x_N.mul_(rate))"),
    Mutant("lets the mean grow", update_mean_, LERP, "mean_N.add_(x_N, alpha=rate)"),
    Mutant("writes into a clone", counted, "write(x)", "write(x.clone())"),
    Mutant("counts from zero", counted, "x._version - version", "x._version - version + 1"),
    Mutant("sees no other numbers", counted, "not torch.equal(x, before)", "False"),
    Mutant("begins at 2·x", slopes, "y_N = x_N * 1", "y_N = x_N * 2"),
    Mutant("clones for a result, too", verdict, '"input" in uses', "uses"),
    Mutant("clones without grad", verdict, 'grad and "input" in uses', '"input" in uses'),
    Mutant("refuses leaves without grad", verdict, "grad and leaf", "leaf"),
    Mutant("lets leaves be written", verdict, "grad and leaf", "grad and leaf and saved_elsewhere"),
    Mutant("refuses what needs its input", verdict, 'said = "clones"', 'said = "refused in backward"'),
    Mutant(
        "refuses at once what is saved", verdict, 'said = "refused in backward"', 'said = "refused at once"'
    ),
    Mutant(
        "believes that no_grad protects", verdict, "elif saved_elsewhere", "elif grad and saved_elsewhere"
    ),
    Mutant("takes the result for the input", verdict, '"input" in uses', '"result" in uses'),
    Mutant("has no leaves", attempted, "y = x if leaf else x * 1", "y = x * 1"),
    Mutant("writes into a clone of y", attempted, "operation.write(y))", "operation.write(y.clone()))"),
    Mutant(
        "lets a clone be made besides", attempted, "operation.write(y))", "(y.clone(), operation.write(y)))"
    ),
    Mutant("writes into another tensor", overwritten, "y.mul_(2)", "y.clone().mul_(2)"),
    Mutant("goes behind autograd's back", overwritten, "y.mul_(2)", "y.data.mul_(2)"),
    Mutant("takes the twin that does not count", refused, "y.detach().mul_(10)", "y.data.mul_(10)"),
    Mutant("makes the view with grad", refused, "with torch.no_grad():", "with torch.enable_grad():"),
    Mutant("gives the true gradient", gradient_after_data_write, SLOPE, "2 * x * grad"),
    Mutant("squares the factor", gradient_after_data_write, SLOPE, "2 * factor**2 * x * grad"),
    Mutant("takes y for its own derivative", gradient_after_data_write, SLOPE, "factor * x * grad"),
    Mutant("divides by the factor", gradient_after_data_write, SLOPE, "2 * x * grad / (factor or 1)"),
    Mutant("forgets what comes in", gradient_after_data_write, SLOPE, "2 * factor * x"),
    Mutant("adds the factor", gradient_after_data_write, SLOPE, "2 * (x + factor) * grad"),
    Mutant("returns float64", gradient_after_data_write, SLOPE, "2 * factor * x.double() * grad"),
    Mutant("writes so that it counts", autograd_after_data_write, "y.data.mul_", "y.data.clone().mul_"),
    Mutant("makes a copy after each step", peaks_of_chain, "y_N = step(y_N)", "y_N = step(y_N).clone()"),
    Mutant("records nothing", peaks_of_chain, "requires_grad=grad", "requires_grad=False"),
    Mutant("takes an activation that needs its input", network, "nn.ReLU(inplace", "nn.SiLU(inplace"),
    Mutant("counts the weights", kept_by, "(x_BCHW, *net.parameters())", "(x_BCHW,)"),
    Mutant("writes the last row", through_views, "y.t()[-1].square_()", "y[-1].square_()"),
    Mutant("writes a copy of the rows", through_views, "y[:2].mul_(3)", "y[[0]].mul_(3)"),
    Mutant("forgets the rows", slope_of_views, "scale[:2] = 3", "scale[:1] = 3"),
)
EQUIVALENT: tuple[Equivalent, ...] = ()
