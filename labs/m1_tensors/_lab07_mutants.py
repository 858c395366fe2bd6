"""The known mistakes of lab 07."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors._lab07_helpers import (
    annotated,
    built_in,
    calls_seen,
    checked_names,
    fate,
    still_named,
    verdict,
    writes,
)
from labs.m1_tensors.lab07_named_tensors import (
    align_to,
    attention,
    names_after,
    names_by_rule,
    names_of_product,
    subtract,
    unify,
)

PAIRS = "zip_longest(reversed(a), reversed(b))"
ORDER = "[names.index(name) for name in order if name in names]"
PERMUTED = f"x.permute({ORDER})"
PLACES = "sorted(range(len(names)), key=lambda place: order.index(names[place]))"
INVERSE = f"x.permute([{PLACES}.index(place) for place in range(len(names))])"

MUTANTS = (
    # The bug, and where names live
    Mutant("subtracts along the channels", subtract, "- mean_C", "- mean_C[:, None, None]"),
    Mutant("has torch's names", built_in, "type(error).__name__", "\"names ('C', 'H')\""),
    Mutant("asks x again", still_named, "getattr(operation(x),", "getattr(operation(x) is None or x,"),
    Mutant(
        "sees the first call alone", calls_seen, "program(watching)", "program(watching.as_subclass(Tensor))"
    ),
    Mutant(
        "hears of a program before it runs", calls_seen, 'error = ""', 'error = str(seen.append("sum") or "")'
    ),
    # 7.1
    Mutant("aligns at the left", unify, PAIRS, "zip_longest(a, b)"),
    Mutant("drops what only one has", unify, PAIRS, "zip(reversed(a), reversed(b))"),
    Mutant("takes None for a name", unify, "if x and y and x != y:", "if x != y:"),
    Mutant("never refuses two names", unify, "if x and y and x != y:", "if False:"),
    Mutant("keeps the names of the first", unify, "met.append(x or y)", "met.append(x)"),
    Mutant("prefers the names of the second", unify, "met.append(x or y)", "met.append(y)"),
    Mutant("lets a name stand twice", unify, "names.count(name) > 1", "names.count(name) > 9"),
    Mutant("forgets to turn around", unify, "tuple(reversed(met))", "tuple(met)"),
    Mutant(
        "takes all names together",
        unify,
        "tuple(reversed(met))",
        "(*a, *(name for name in b if name not in a))",
    ),
    Mutant(
        "tells one name alone",
        unify,
        "the dims {x!r} and {y!r} meet: names {a} and {b}",
        "the dim {x!r} meets another",
    ),
    # 7.2
    Mutant("takes a dim away for softmax", names_after, 'if op == "softmax" or keepdim:', "if keepdim:"),
    Mutant("does not hear keepdim", names_after, 'if op == "softmax" or keepdim:', 'if op == "softmax":'),
    Mutant(
        "cuts a name that is kept",
        names_after,
        'if op == "softmax" or keepdim:',
        'if (op == "softmax") != keepdim:',
    ),
    Mutant(
        "counts from the left alone",
        names_after,
        "place = place if place >= 0 else place + len(names)",
        "place = abs(place)",
    ),
    Mutant("keeps all names without a dim", names_after, "left = ()", "left = names"),
    Mutant("keeps the first name without a dim", names_after, "left = ()", "left = names[:1]"),
    Mutant(
        "takes away the first dim",
        names_after,
        "left = names[:place] + names[place + 1 :]",
        "left = names[1:]",
    ),
    Mutant(
        "takes away the dim behind",
        names_after,
        "left = names[:place] + names[place + 1 :]",
        "left = names[: place + 1] + names[place + 2 :]",
    ),
    Mutant(
        "leaves a dim without a name",
        names_after,
        "left = names[:place] + names[place + 1 :]",
        "left = (*names[:place], None, *names[place + 1 :])",
    ),
    Mutant("lets an unknown name pass", names_after, "isinstance(dim, str) and dim not in names:", "False:"),
    # The class
    Mutant("contracts whatever meets", names_of_product, "unify(a[-1:], (inner,))", "unify(a[-1:], a[-1:])"),
    Mutant("contracts the last of both", names_of_product, "b[-2] if len(b) > 1 else b[-1]", "b[-1]"),
    Mutant("forgets the batch", names_of_product, "(*batch, *a[-2:-1]", "(*a[-2:-1]"),
    Mutant("keeps what it contracts", names_of_product, "*a[-2:-1]", "*a[-2:]"),
    Mutant("has no rule for a product", names_by_rule, '"matmul"', '"mm"'),
    Mutant("looks at the first operand alone", names_by_rule, "reduce(unify, operands)", "operands[0]"),
    Mutant("does not hear keepdim by its name", names_by_rule, 'bool(kwargs.get("keepdim"))', "False"),
    Mutant("lets writes pass", writes, "IN_PLACE.fullmatch(operation)", "IN_PLACE.fullmatch('')"),
    # 7.3
    Mutant("takes the inverse permutation", align_to, PERMUTED, INVERSE),
    Mutant(
        "reshapes",
        align_to,
        PERMUTED,
        "x.reshape([x.shape[names.index(name)] for name in order if name in names])",
    ),
    Mutant("sorts the names", align_to, ORDER, "[names.index(name) for name in sorted(names)]"),
    Mutant("renames only", align_to, PERMUTED, "x.view_as(x)"),
    Mutant(
        "swaps two dims at the most",
        align_to,
        PERMUTED,
        "x.transpose(0, names.index(order[0])) if names and order[0] in names else x.view_as(x)",
    ),
    Mutant("copies", align_to, PERMUTED, f"{PERMUTED}.clone()"),
    Mutant("puts new dims in front", align_to, "unsqueeze(place)", "unsqueeze(0)"),
    Mutant("puts new dims at the end", align_to, "unsqueeze(place)", "unsqueeze(-1)"),
    Mutant("drops no name without a word", align_to, "if name not in order:", "if False:"),
    # With the class
    Mutant("takes a softmax over the queries", attention, '.softmax("key")', '.softmax("query")'),
    Mutant(
        "is centred over the values", attention, 'answers.mean("query")', 'answers.mean("V", keepdim=True)'
    ),
    Mutant(
        "finds names everywhere",
        fate,
        'getattr(result, "names", None) == operation.names and',
        "bool(operation.names) and",
    ),
    Mutant("is content with any name", checked_names, ".refine_names(*bug.result)", ""),
    Mutant(
        "has no annotations",
        annotated,
        "checked = jaxtyped(typechecker=beartype)",
        "checked = jaxtyped(typechecker=None)",
    ),
    Mutant("looks at shapes alone", verdict, "and torch.allclose(result, truth)", "and True"),
)

EITHER = "names that meet are equal or one is None, so only the order in which a message tells them changes"

EQUIVALENT = (
    Equivalent(
        unify,
        "for x, y in zip_longest(reversed(a), reversed(b)):",
        "for y, x in zip_longest(reversed(a), reversed(b)):",
        EITHER,
    ),
    Equivalent(
        unify, "zip_longest(reversed(a), reversed(b))", "zip_longest(reversed(b), reversed(a))", EITHER
    ),
)
