"""The known mistakes of the tiny lab."""

from labs.m7_bonus.lab99_tiny_things import doubled, numbers, remembered, total  # type: ignore[import-not-found]

from labs.kit import Mutant

MUTANTS = (
    Mutant("counts too many", numbers, "arange(count,", "arange(count + 2,"),
    Mutant("triples", doubled, "2 * x_N", "3 * x_N"),
    Mutant("adds two", doubled, "2 * x_N", "2 + x_N"),
    Mutant("takes the mean", total, "x_N.sum()", "x_N.mean()"),
    Mutant("forgets the last", total, "x_N.sum()", "x_N[:-1].sum()"),
    Mutant("remembers it twice", remembered, "MEMORY.append(word)", "MEMORY.extend([word, word])"),
)
