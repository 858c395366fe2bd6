"""The known mistakes of lab 02."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors._lab02_helpers import (
    bytes_by_rule,
    cloud,
    gradient_of_sum,
    mode_taken,
    self_distance,
    shape_of_sum,
)
from labs.m1_tensors.lab02_broadcasting_magic import (
    broadcast_shape,
    by_differences,
    fitted,
    four_ways,
    mean_square,
    squared_distances,
    stretched,
    unbroadcast,
)

PAIRS = "zip_longest(a[::-1], b[::-1], fillvalue=1)"
UNLIKE = "one != other and 1 not in (one, other)"
MOVED = "x_ND - centre_D, y_MD - centre_D"

SMALL, FRONT = "torch.Size(shape).numel()", "(1,) * (grad.dim() - len(shape))"

MUTANTS = (
    Mutant(
        "adds one number for three",
        shape_of_sum,
        "torch.empty(b)",
        "torch.empty([size % 3 or 1 for size in b])",
    ),
    Mutant("aligns at the left", broadcast_shape, PAIRS, "[*zip_longest(a, b, fillvalue=1)][::-1]"),
    Mutant("lets the larger size win", broadcast_shape, "other if one == 1 else one", "max(one, other)"),
    Mutant("drops what only the longer shape has", broadcast_shape, PAIRS, "zip(a[::-1], b[::-1])"),
    Mutant("lets only the first shape be stretched", broadcast_shape, UNLIKE, "one != other and one != 1"),
    Mutant(
        "repeats a size that divides the other",
        broadcast_shape,
        UNLIKE,
        "max(one, other) % max(min(one, other), 1)",
    ),
    Mutant("never refuses", broadcast_shape, UNLIKE, "False"),
    Mutant("takes the first shape's sizes", broadcast_shape, "other if one == 1 else one", "one"),
    Mutant(
        "returns the sizes from the right",
        broadcast_shape,
        "(other if one == 1 else one, *shape)",
        "(*shape, other if one == 1 else one)",
    ),
    Mutant("begins at the storage's start", stretched, "x.storage_offset()", "0"),
    Mutant("writes the numbers down", stretched, "x.storage_offset())", "x.storage_offset()).clone()"),
    Mutant("reads through float32", stretched, "x.storage_offset())", "x.storage_offset()).float().long()"),
    Mutant("repeats to expand", four_ways, "v_C.expand(rows, -1)", "v_C.repeat(rows, 1)"),
    Mutant("expands to repeat", four_ways, "lambda: v_C.repeat(rows, 1)", "lambda: v_C.expand(rows, -1)"),
    Mutant("repeats before it adds", four_ways, "x_RC + v_C,", "x_RC + v_C.expand(rows, -1).contiguous(),"),
    Mutant("adds in place", four_ways, "x_RC + v_C,", "x_RC.add_(v_C),"),
    Mutant("takes a product for a sum", bytes_by_rule, "expected += 4 * whole.numel()", "pass"),
    Mutant("copies operands as they are", bytes_by_rule, "whole.numel()", "factor.numel()"),
    Mutant(
        "copies whatever is stretched",
        bytes_by_rule,
        "whole.view(-1, *factor.shape[-2:])",
        "whole.view(factor.shape)",
    ),
    Mutant("sums over new dims only", unbroadcast, "size == 1", "size < 0"),
    Mutant("sums over kept dims only", unbroadcast, "range(grad.dim() - len(shape))", "()"),
    Mutant("takes the mean", unbroadcast, "summed.sum(0)", "summed.sum(0) / max(len(summed), 1)"),
    Mutant(
        "takes the mean over kept dims",
        unbroadcast,
        "summed.sum(dim, keepdim=True)",
        "summed.sum(dim, keepdim=True) / max(summed.shape[dim], 1)",
    ),
    Mutant("sums over the trailing dims", unbroadcast, "summed.sum(0)", "summed.sum(-1)"),
    Mutant("takes the first that was read", unbroadcast, "summed.sum(0)", "summed[:1].sum(0)"),
    Mutant(
        "takes the first of a kept dim",
        unbroadcast,
        "summed.sum(dim,",
        "summed.narrow(dim, 0, min(summed.shape[dim], 1)).sum(dim,",
    ),
    Mutant(
        "cuts off what is too much",
        unbroadcast,
        "= grad",
        f"= torch.cat([grad.flatten(), torch.zeros({SMALL})])[:{SMALL}].view({FRONT} + shape).to(grad.dtype)",
    ),
    Mutant("loses signs", unbroadcast, "summed.sum(0)", "summed.abs().sum(0)"),
    Mutant("sums in float32", unbroadcast, "summed.sum(0)", "summed.float().sum(0).to(grad.dtype)"),
    Mutant("returns float64 always", unbroadcast, "= grad", "= grad.double()"),
    Mutant("changes the gradient that came in", unbroadcast, "= grad", "= grad.neg_().neg()"),
    Mutant("multiplies before it sums", gradient_of_sum, "leaf.sum(dims)", "(leaf * 1).sum(dims)"),
    Mutant("takes the mean of the gradient", gradient_of_sum, "leaf.sum(dims)", "leaf.mean(dims)"),
    Mutant("squares in place", by_differences, ".square()", ".square_()"),
    Mutant("sums absolute values", by_differences, ".square()", ".abs()"),
    Mutant(
        "does not centre",
        squared_distances,
        "torch.cat([x_ND, y_MD]).mean(0)",
        "torch.zeros(1, dtype=x_ND.dtype)",
    ),
    Mutant(
        "centres each set by itself", squared_distances, MOVED, "x_ND - x_ND.mean(0), y_MD - y_MD.mean(0)"
    ),
    Mutant("lets squares fall below 0", squared_distances, ".clamp(min=0)", ".clamp(min=-1)"),
    Mutant("returns its transpose", squared_distances, ".clamp(min=0)", ".clamp(min=0).t()"),
    Mutant(
        "builds the cube",
        squared_distances,
        "norms_NM - 2 * x_ND @ y_MD.t()",
        "(x_ND[:, None] - y_MD).square().sum(-1)",
    ),
    Mutant("takes the root", squared_distances, ".clamp(min=0)", ".clamp(min=0).sqrt()"),
    Mutant("forgets the factor 2", squared_distances, "- 2 * x_ND @", "- x_ND @"),
    Mutant(
        "centres its arguments",
        squared_distances,
        MOVED,
        "x_ND.sub_(centre_D), y_MD.sub_(centre_D) if y_MD is not x_ND else y_MD",
    ),
    Mutant(
        "computes in float32",
        squared_distances,
        MOVED,
        "(x_ND - centre_D).float(), (y_MD - centre_D).float()",
    ),
    Mutant("is told to take differences", self_distance, "compute_mode=mode", "compute_mode=BY_DIFFERENCES"),
    Mutant("leaves the points at the origin", cloud, "+ offset", "+ 0"),
    Mutant(
        "is told to take products",
        mode_taken,
        "torch.cdist(x_ND, y_MD)",
        "torch.cdist(x_ND, y_MD, compute_mode=BY_PRODUCT)",
    ),
    Mutant("compares each with its own target", mean_square, "y - t", "y.flatten() - t.flatten()"),
    Mutant("predicts in a row", fitted, "weights_D[:-1, None]", "weights_D[:-1]"),
)

EITHER = "The rule is the same for both operands, and what they give is the same either way round."

EQUIVALENT = (
    Equivalent(broadcast_shape, f"for one, other in {PAIRS}:", f"for other, one in {PAIRS}:", EITHER),
    Equivalent(broadcast_shape, PAIRS, "zip_longest(b[::-1], a[::-1], fillvalue=1)", EITHER),
    Equivalent(broadcast_shape, "1 not in (one, other)", "1 not in (other, one)", EITHER),
)
