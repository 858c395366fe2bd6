"""The known mistakes of lab 04."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors._lab04_helpers import (
    handed_back,
    learned,
    looked_up,
    messages_by_loop,
    reduced,
    there_and_back,
    value_iteration,
)
from labs.m1_tensors.lab04_advanced_indexing import (
    accumulated,
    gather_by_loop,
    gives_a_view,
    messages_added,
    score_of_label,
    segment_softmax,
    survivors,
    td_update,
    two_writes,
)

SOURCE = "int(index[place]) if d == dim else p for d, p in enumerate(place)"
EMPTY = "picked = torch.empty(index.shape, dtype=x.dtype)"
STRETCHED = (
    "index = index.expand([big if small == 1 and d != dim else small "
    "for d, (small, big) in enumerate(zip(index.shape, x.shape))]); "
)
MEAN = '.scatter_reduce(0, pair_B, gap_B, "mean", include_self=False)'

MUTANTS = (
    Mutant(
        "always picks along the last dim",
        gather_by_loop,
        "int(index[place]) if d == dim",
        "int(index[place]) % x.shape[d] if d == len(place) - 1 else p % max(x.shape[d], 1) if d < 9",
    ),
    Mutant("counts from the end", gather_by_loop, "int(index[place]) if", "-1 - int(index[place]) if"),
    Mutant(
        "picks whole slices, as index_select does",
        gather_by_loop,
        "int(index[place])",
        "int(index[tuple(q if e == dim else 0 for e, q in enumerate(place))])",
    ),
    Mutant("stretches an index of one row", gather_by_loop, EMPTY, STRETCHED + EMPTY),
    Mutant(
        "counts through all of x, as take does", gather_by_loop, "= x[source]", "= x.flatten()[index[place]]"
    ),
    Mutant("scatters", gather_by_loop, "picked[place] = x[source]", "picked.view(-1)[-1:] = x[source]"),
    Mutant("returns float32", gather_by_loop, "dtype=x.dtype", "dtype=torch.float32"),
    Mutant("reads through float32", gather_by_loop, "= x[source]", "= x[source].float()"),
    Mutant(
        "lets −1 be the last class",
        score_of_label,
        "scores_NC.gather(1, label_N.unsqueeze(1))",
        "scores_NC.take_along_dim(label_N.unsqueeze(1), 1)",
    ),
    Mutant("takes the other dim", score_of_label, "gather(1,", "gather(0,"),
    Mutant("forgets that True is a mask", gives_a_view, "list | bool", "list"),
    Mutant("forgets lists", gives_a_view, "list | bool", "bool"),
    Mutant("takes a single number for a list", gives_a_view, "item.ndim > 0", "item.ndim >= 0"),
    Mutant("fills a clone", two_writes, "part = x[key]", "part = x[key].clone()"),
    Mutant("assigns through a clone", two_writes, "x[key] = -1", "x.clone()[key] = -1"),
    Mutant(
        "writes nothing but ones", survivors, "2 ** torch.arange(len(index_E))", "torch.ones_like(index_E)"
    ),
    Mutant(
        "writes in float32",
        survivors,
        "dtype=torch.int64)",
        "dtype=torch.int64); index_E = index_E.sort()[0]",
    ),
    Mutant(
        "writes twice",
        survivors,
        "WAYS[way](h_V, index_E, value_E)",
        "[WAYS[way](h_V, index_E, value_E) for _ in 'ab']",
    ),
    Mutant("never asks what stood there", reduced, "include_self=include_self", "include_self=False"),
    Mutant("always asks what stood there", reduced, "include_self=include_self", "include_self=True"),
    Mutant(
        "sends ones into gather", there_and_back, "index), source, grad)", "index), source, grad * 0 + 1)"
    ),
    Mutant("adds twice", there_and_back, "(dim, index, added)", "(dim, index, 2 * added)"),
    Mutant("keeps the rows alone", looked_up, "(index_E, table_VD)", "(index_E, table_VD, sparse=True)"),
    Mutant(
        "adds what it writes",
        handed_back,
        ".scatter(0, index_E, value_E)",
        ".scatter_add(0, index_E, value_E)",
    ),
    Mutant("moves nothing", handed_back, "+ torch.eye(", "+ 0 * torch.eye("),
    Mutant("goes against the edges", messages_added, "h_VD[source_E]", "h_VD[destination_E]"),
    Mutant(
        "keeps one message", messages_added, ".index_add(0, destination_E, ", ".index_put((destination_E,), "
    ),
    Mutant("assigns in the loop", messages_by_loop, "+= h_VD", "= h_VD"),
    Mutant("makes one softmax of all", segment_softmax, "/ total_V[segment_E]", "/ raised_E.sum()"),
    Mutant("takes no maximum off", segment_softmax, "(scores_E - top_V[segment_E])", "(scores_E)"),
    Mutant(
        "takes one maximum for all",
        segment_softmax,
        "- top_V[segment_E]",
        "- (scores_E.max() if len(scores_E) else 0)",
    ),
    Mutant("lets the maxima start at 0", segment_softmax, "-torch.inf", "0"),
    Mutant(
        "keeps one of the exponentials",
        segment_softmax,
        ".index_add(0, segment_E, raised_E)",
        ".index_put((segment_E,), raised_E)",
    ),
    Mutant(
        "lines the segments up",
        segment_softmax,
        "raised_E / total_V[segment_E]",
        "(raised_E / total_V[segment_E])[segment_E.argsort(stable=True)]",
    ),
    Mutant(
        "changes the scores",
        segment_softmax,
        "scores_E - top_V[segment_E]",
        "scores_E.sub_(top_V[segment_E])",
    ),
    Mutant(
        "returns float64",
        segment_softmax,
        "raised_E / total_V[segment_E]",
        "raised_E.double() / total_V[segment_E]",
    ),
    Mutant("keeps one experience of a pair", td_update, MEAN, ".scatter(0, pair_B, gap_B)"),
    Mutant("adds up the steps of a pair", td_update, '"mean"', '"sum"'),
    Mutant(
        "divides by the size of the batch",
        td_update,
        MEAN,
        ".scatter_add(0, pair_B, gap_B / max(len(gap_B), 1))",
    ),
    Mutant(
        "counts states in the place of pairs",
        td_update,
        MEAN,
        ".scatter_add(0, pair_B, gap_B / s_B.bincount()[s_B])",
    ),
    Mutant("counts the old value as an experience", td_update, "include_self=False", "include_self=True"),
    Mutant("reads the best action", td_update, "q_SA.flatten().gather(0, pair_B)", "q_SA.amax(1)[s_B]"),
    Mutant("writes into the table", td_update, "= q_SA + rate * mean_SA", "= q_SA.add_(rate * mean_SA)"),
    Mutant("numbers the pairs by columns", td_update, "s_B * q_SA.shape[1] + a_B", "s_B + a_B * len(q_SA)"),
    Mutant("learns from the worst action", learned, "q_SA.amax(1)", "q_SA.amin(1)"),
    Mutant("forgets the discount", learned, "DISCOUNT * best_B", "best_B"),
    Mutant(
        "takes the mean",
        accumulated,
        "q_SA[s_B, a_B])",
        "q_SA[s_B, a_B]) / (s_B * 4 + a_B).bincount()[s_B * 4 + a_B]",
    ),
    Mutant("knows the future only to half", value_iteration, "DISCOUNT * q_SA", "0.5 * DISCOUNT * q_SA"),
)

NUMBER = "A tensor that holds one whole number is taken for that number by an index."
ONE_DIM = "There is one dim, so the first is the last."
EQUIVALENT = (
    Equivalent(gather_by_loop, "int(index[place])", "index[place]", NUMBER),
    Equivalent(
        segment_softmax,
        "lowest_V.scatter_reduce(0, segment_E, scores_E, 'amax')",
        "lowest_V.scatter_reduce(-1, segment_E, scores_E, 'amax')",
        ONE_DIM,
    ),
    Equivalent(
        segment_softmax,
        "scores_E.new_zeros(count).index_add(0, segment_E, raised_E)",
        "scores_E.new_zeros(count).index_add(-1, segment_E, raised_E)",
        ONE_DIM,
    ),
    Equivalent(td_update, "q_SA.flatten().gather(0, pair_B)", "q_SA.flatten().gather(-1, pair_B)", ONE_DIM),
    Equivalent(
        td_update,
        "unmoved.scatter_reduce(0, pair_B, gap_B, 'mean', include_self=False)",
        "unmoved.scatter_reduce(-1, pair_B, gap_B, 'mean', include_self=False)",
        ONE_DIM,
    ),
)
