"""The known mistakes of lab 33."""

from labs.kit import Mutant
from labs.m5_training._lab33_helpers import (
    ahead_of_time,
    compiled_around_ddp,
    compiles_per_call,
    first_calls,
    served_by_one_graph,
)
from labs.m5_training.lab33_torch_compile_intro import (
    break_even,
    compiled_inside_ddp,
    fused,
    graphs_of,
    guards_hold,
    trained,
    without_break,
)

MUTANTS = (
    Mutant("looks at one input only", graphs_of, "for x_N in inputs:", "for x_N in inputs[:1] * 2:"),
    Mutant("takes a break for granted", graphs_of, "fullgraph=whole", "fullgraph=False"),
    Mutant(
        "asks Python again",
        without_break,
        "torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)",
        "x_N * 2 if x_N.sum() > 0 else x_N - 1",
    ),
    Mutant("decides for each number by itself", without_break, "x_N.sum() > 0", "x_N > 0"),
    Mutant("counts 0 as positive", without_break, "> 0", ">= 0"),
    Mutant("takes the other branch", without_break, "x_N * 2, x_N - 1", "x_N - 1, x_N * 2"),
    Mutant(
        "adds both branches, one of them times 0",
        without_break,
        "torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)",
        "(x_N.sum() > 0) * x_N * 2 + (x_N.sum() <= 0) * (x_N - 1)",
    ),
    Mutant("counts signs instead of summing", without_break, "x_N.sum()", "x_N.sign().sum()"),
    Mutant("sums where there is no room for the sum", without_break, "x_N.sum()", "x_N.sum(dtype=x_N.dtype)"),
    Mutant("makes floats of ints", without_break, "x_N * 2, x_N - 1", "x_N * 2.0, x_N - 1.0"),
    Mutant("forgets the class", guards_hold, '"kind", ', ""),
    Mutant("forgets the dtype", guards_hold, '"dtype", ', ""),
    Mutant("reads the shape off the strides", guards_hold, '"shape", ', ""),
    Mutant("looks at the shape alone", guards_hold, '"shape", "stride", ', '"shape", '),
    Mutant("forgets autograd", guards_hold, '"stride", "requires_grad"}', '"stride"}'),
    Mutant("guards the address", guards_hold, '"kind", ', '"kind", "offset", '),
    Mutant("guards the numbers", guards_hold, '"kind", ', '"kind", "content", '),
    Mutant("is content with one that agrees", guards_hold, "all(", "any("),
    Mutant("begins with a symbol for each size", served_by_one_graph, "dynamic=False", "dynamic=True"),
    Mutant(
        "makes symbols where none were asked for", compiles_per_call, "dynamic=change.dynamic", "dynamic=True"
    ),
    Mutant(
        "differentiates something else",
        trained,
        "torch.compile(function,",
        "torch.compile(lambda x_N: function(2 * x_N),",
    ),
    Mutant(
        "keeps what autograd would", ahead_of_time, "min_cut_rematerialization_partition", "default_partition"
    ),
    Mutant(
        "counts the bytes of eager torch",
        fused,
        "inductor.allocated_by(compiled, x_N)",
        "inductor.allocated_by(chain, x_N)",
    ),
    Mutant("computes other numbers", fused, "compiled(torch.linspace(-2,", "compiled(torch.linspace(-1,"),
    Mutant("rounds down", break_even, "math.ceil", "math.floor"),
    Mutant("rounds to the nearest", break_even, "math.ceil", "round"),
    Mutant(
        "takes one more to be sure",
        break_even,
        "math.ceil(price.first / gained)",
        "int(price.first / gained) + 1",
    ),
    Mutant("forgets that compiled calls cost too", break_even, "price.eager - price.compiled", "price.eager"),
    Mutant("lets it pay before it began", break_even, "if gained > 0", "if gained"),
    Mutant(
        "pays for the first call twice",
        break_even,
        "price.first / gained",
        "(price.first + price.compiled) / gained",
    ),
    Mutant("calls what needs no graph", first_calls, "first_call(compiled, x_N)", "first_call(abs, x_N)"),
    Mutant(
        "leaves buckets as they are by default",
        compiled_inside_ddp,
        "bucket_cap_mb=cap_mb",
        "bucket_cap_mb=None",
    ),
    Mutant("looks at buckets before they are in order", compiled_inside_ddp, "range(2)", "range(1)"),
    Mutant(
        "compiles the bare model",
        compiled_around_ddp,
        "DistributedDataParallel(Chained(quarters))",
        "Chained(quarters)",
    ),
)
