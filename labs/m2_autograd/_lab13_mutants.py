"""The known mistakes of lab 13."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab13_helpers import first_step, kept_bytes, normed, nothing_to_learn, reductions
from labs.m2_autograd.lab13_gradient_accumulation import (
    accumulate,
    accumulate_on_ranks,
    average_of_averages,
    clipped,
    labels_in,
    mean_of_means,
    stored,
    unscaled,
)

DIVIDED = "(total / count).backward()"
TOTAL = 'total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")'
COUNT = "count = labels_in(batches)"
SHARE = "(total * dist.get_world_size() / count)"
QUIET = "model.no_sync() if place < len(batches) else nullcontext()"

MUTANTS = (
    Mutant("counts what is ignored", labels_in, "(labels_B != IGNORED).sum()", "(labels_B != 7).sum()"),
    Mutant("divides by k", accumulate, DIVIDED, "(total / len(batches)).backward()"),
    Mutant("forgets to divide", accumulate, DIVIDED, "total.backward()"),
    Mutant(
        "divides each sum by its own labels",
        accumulate,
        DIVIDED,
        "(total / max(len(labels_B), 1)).backward()",
    ),
    Mutant(
        "divides mean losses by k",
        accumulate,
        DIVIDED,
        "(total / max(len(labels_B), 1) / len(batches)).backward()",
    ),
    Mutant(
        "takes all to be as large as the first",
        accumulate,
        COUNT,
        "count = len(batches) * len(batches[0][1])",
    ),
    Mutant("counts padding", accumulate, COUNT, "count = sum(len(labels_B) for _, labels_B in batches)"),
    Mutant("empties `.grad` before each piece", accumulate, TOTAL, f"model.zero_grad(); {TOTAL}"),
    Mutant("empties `.grad` at the start", accumulate, COUNT, f"model.zero_grad(); {COUNT}"),
    Mutant(
        "keeps all graphs",
        accumulate,
        DIVIDED,
        "model.kept = [*getattr(model, 'kept', []), total]; (total / count).backward(retain_graph=True)",
    ),
    Mutant("leaves out the last piece", accumulate, "in batches:", "in batches[:-1]:"),
    Mutant("counts weights too", kept_bytes, "besides=weights", "besides=()"),
    Mutant("divides by the labels of a piece", average_of_averages, "/ len(batches)", "/ len(labels_B)"),
    Mutant("has one label", nothing_to_learn, "ignored=size", "ignored=size - 1"),
    Mutant("forgets what it is to forget", first_step, "* factor", "* 1.0"),
    Mutant("uses running statistics", normed, "train(model,", "train(model.eval(),"),
    Mutant("normalizes over the batch", normed, "norm=NORMS[name]", "norm=nn.BatchNorm1d"),
    Mutant("clips behind each piece", clipped, "if each:", "if True:"),
    Mutant("unscales once", unscaled, "if each or place == len(batches):", "if place == len(batches):"),
    Mutant("never unscales", unscaled, "if each or place == len(batches):", "if False:"),
    Mutant("keeps gradients in float32", stored, "dtype=dtype", "dtype=torch.float32"),
    Mutant("is never silent", reductions, "silent and place < tools.PIECES - 1", "False"),
    Mutant("is always silent", reductions, "silent and place < tools.PIECES - 1", "silent"),
    Mutant("divides by the number of pieces", mean_of_means, "/ labels_in(batches)", "/ len(batches)"),
    Mutant("divides by its own labels", accumulate_on_ranks, "dist.all_reduce(count)", "count.clone()"),
    Mutant("forgets the R of DDP", accumulate_on_ranks, SHARE, "(total / count)"),
    Mutant("divides by R once more", accumulate_on_ranks, SHARE, "(total / count / dist.get_world_size())"),
    Mutant("sends every sum", accumulate_on_ranks, QUIET, "nullcontext()"),
    Mutant("sends nothing", accumulate_on_ranks, QUIET, "model.no_sync()"),
    Mutant("is silent in the last pass", accumulate_on_ranks, QUIET, QUIET.replace("<", "==")),
    Mutant(
        "is silent in the backward pass alone",
        accumulate_on_ranks,
        TOTAL,
        f"model.require_backward_grad_sync = True; {TOTAL}",
    ),
    Mutant(
        "counts before each piece", accumulate_on_ranks, TOTAL, f"dist.all_reduce(count.clone()); {TOTAL}"
    ),
    Mutant(
        "counts padding on all ranks",
        accumulate_on_ranks,
        "torch.tensor(labels_in(batches))",
        "torch.tensor(sum(len(labels_B) for _, labels_B in batches))",
    ),
)

EQUIVALENT: tuple[Equivalent, ...] = ()
