"""The known mistakes of lab 03."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors._lab03_helpers import contracted
from labs.m1_tensors.lab03_einsum_is_all_you_need import (
    after_writing,
    attention,
    by_string,
    lowered,
    my_einsum,
    operations,
    planned,
    two_layouts,
)

PLACED = "placed[tuple(slice(None) if letter in word else None for letter in letters)]"
SUMMED = "range(len(output), len(letters))"
NEEDED = ' if letter in output + "".join(words)'

MUTANTS = (
    Mutant(
        "sums where a letter stands twice",
        my_einsum,
        "tensor.diagonal(0, first, last)",
        "tensor.sum(first).movedim(last - 1, -1)",
    ),
    Mutant(
        "orders the output by the alphabet",
        my_einsum,
        "letters = output",
        'letters = "".join(sorted(output))',
    ),
    Mutant(
        "sums before it multiplies",
        my_einsum,
        f"product * {PLACED}",
        f"product * ({PLACED}.sum([*{SUMMED}], keepdim=True) if letters > output else {PLACED})",
    ),
    Mutant("never sums", my_einsum, "in letters[len(output) :]", "in letters[len(letters) :]"),
    Mutant(
        "takes two operands of three",
        my_einsum,
        'zip(inputs.split(","), operands',
        'zip(inputs.split(",")[:2], operands[:2]',
    ),
    Mutant(
        "keeps the first operand's sizes",
        my_einsum,
        f"product * {PLACED}",
        f"(product * {PLACED})[tuple(slice(size) for size in product.shape)]",
    ),
    Mutant("computes in float64", my_einsum, "dtype=operands[0].dtype", "dtype=torch.float64"),
    Mutant(
        "computes in float32",
        my_einsum,
        f"product * {PLACED}",
        f"(product.float() * {PLACED}.float()).to(tensor.dtype)",
    ),
    Mutant("takes the mean", my_einsum, "product.sum(-1)", "product.sum(-1) // max(product.shape[-1], 1)"),
    Mutant("loses signs", my_einsum, "= product.sum(-1)", "= product.abs().sum(-1)"),
    Mutant("adds in the place of multiplying", my_einsum, f"product * {PLACED}", f"product + {PLACED}"),
    Mutant("changes its operands", my_einsum, "= tensor.permute", "= tensor.neg_().neg().permute"),
    Mutant("drops a letter of the output", by_string, "(spec,", '(spec.replace("->ii", "->i"),'),
    Mutant("loses the operands' signs", by_string, "*operands)", "*(x.abs() for x in operands))"),
    Mutant("writes into a copy", after_writing, "square_MM).zero_()", "square_MM).clone().zero_()"),
    Mutant(
        "writes into everything", after_writing, "torch.einsum(spec, square_MM).zero_()", "square_MM.zero_()"
    ),
    Mutant("sums no lonely letter", lowered, "if set(own) - set(other) - set(output)", "if not set(own)"),
    Mutant("sums all lonely letters", lowered, "- set(other) - set(output)", "- set(other)"),
    Mutant(
        "multiplies matrices always", lowered, "if set(left) & set(right) - set(output)", "if left or right"
    ),
    Mutant(
        "multiplies matrices where a letter is shared",
        lowered,
        "set(left) & set(right) - set(output)",
        "set(left) & set(right)",
    ),
    Mutant(
        "moves the dims and leaves the numbers",
        two_layouts,
        "(q_BQHD.transpose(1, 2).contiguous(), k_BKHD",
        "(q_BQHD.transpose(1, 2), k_BKHD",
    ),
    Mutant(
        "lays both out alike",
        two_layouts,
        "(q_BQHD, k_BKHD)",
        "(q_BQHD.transpose(1, 2).contiguous().transpose(1, 2), k_BKHD)",
    ),
    Mutant("does not scale", attention, " / math.sqrt(q_BQHD.shape[-1])", ""),
    Mutant(
        "divides by the number and not by its root",
        attention,
        "math.sqrt(q_BQHD.shape[-1])",
        "q_BQHD.shape[-1]",
    ),
    Mutant("weighs over queries", attention, "softmax(-1)", "softmax(-2)"),
    Mutant("sees everything", attention, "~seen_QK", "~seen_QK & seen_QK"),
    Mutant(
        "mixes up heads",
        attention,
        '"bhqk,bkhd->bqhd", weights_BHQK',
        '"bhqk,bkhd->bqhd", weights_BHQK.flip(1)',
    ),
    Mutant(
        "counts the result's numbers only",
        operations,
        "for letter in letters)",
        "for letter in letters if letter in output)",
    ),
    Mutant("forgets the additions", operations, "2 * math.prod", "math.prod"),
    Mutant("never drops a letter", operations, NEEDED, ""),
    Mutant(
        "drops what a later operand needs", operations, NEEDED, ' if letter in output + "".join(words[:1])'
    ),
    Mutant("keeps the output's letters only", operations, NEEDED, " if letter in output"),
    Mutant("ignores the order", operations, "in order:", "in [(0, 1)] * len(order):"),
    Mutant("puts the product first", operations, "words.append(", "words.insert(0, "),
    Mutant(
        "counts a shared letter twice",
        operations,
        "dict.fromkeys(words[first] + words[second])",
        "words[first] + words[second]",
    ),
    Mutant("adds up the sizes", operations, "math.prod(", "sum("),
    Mutant("never plans", planned, "enabled=planner", "enabled=False"),
    Mutant("always plans", planned, "enabled=planner", "enabled=torch.backends.opt_einsum.is_available()"),
    Mutant("copies every product", contracted, "left[second]))", "left[second]).clone())"),
)

ANY_SUM = "Sums over several letters give the same in any order of these letters."
ANY_DIAGONAL = (
    "Diagonals of different letters may be taken in any order, and a second visit finds nothing to do."
)
EITHER = "The product of two operands costs the same whichever of them is called the first."

EQUIVALENT = (
    Equivalent(my_einsum, "sorted(set(inputs) - {*output, ','})", "set(inputs) - {*output, ','}", ANY_SUM),
    Equivalent(my_einsum, "operands[0]", "operands[-1]", "All operands have the same dtype."),
    Equivalent(my_einsum, "sorted(set(word))", "set(word)", ANY_DIAGONAL),
    Equivalent(my_einsum, "set(word)", "word", ANY_DIAGONAL),
    Equivalent(
        my_einsum,
        "tensor.diagonal(0, first, last)",
        "tensor.diagonal(0, last, first)",
        "The main diagonal has equal indices in both dims, so that their order does not matter.",
    ),
    Equivalent(operations, "for first, second in order:", "for second, first in order:", EITHER),
    Equivalent(operations, "place not in (first, second)", "place not in (second, first)", EITHER),
)
