"""The known mistakes of lab 06."""

from labs.kit import Mutant
from labs.m1_tensors._lab06_helpers import bytes_of_repeats, graphs_of, is_view, refusal
from labs.m1_tensors.lab06_einops_tutorial import (
    by_hand,
    flattened,
    in_words,
    patches,
    split_backwards,
    split_by_view,
    split_heads,
    there_and_back,
    tile,
    written,
)

VIEW = "x_BNE.view(batch, heads, tokens, numbers // heads)"
SENTENCE = '"b n (heads d) -> b heads n d", heads=heads)'
PATCHES = '"b c (h p) (w q) -> b (h w) (p q c)", p=p, q=q)'
SPREAD = 'repeat(x_HW, "h w -> r h s w", r=r, s=r)'
MERGED = 'rearrange(own, "r h s w -> (r h) (s w)")'
OLD_PATCHES = f"rearrange(x_BCHW, {PATCHES}"
OLD_HEADS = f"rearrange(x_BNE, {SENTENCE}"

MUTANTS = (
    # What `view` does, and what swapped names do.
    Mutant(
        "splits the tokens first",
        split_by_view,
        VIEW,
        f"{VIEW.replace('heads, tokens', 'tokens, heads')}.transpose(1, 2)",
    ),
    Mutant("takes tokens for heads", split_by_view, "batch, heads, tokens,", "batch, tokens, heads,"),
    Mutant("views half a number", split_by_view, VIEW, f"{VIEW}.double()"),
    Mutant("writes the bracket rightly", split_backwards, "(d heads) ->", "(heads d) ->"),
    Mutant("knows where the channels are", flattened, '"b c h w ->', '"b h w c ->'),
    Mutant("hears no sizes", flattened, ", **sizes)", ")"),
    # 6.1
    Mutant("lets numbers take turns", split_heads, "(heads d)", "(d heads)"),
    Mutant(
        "asks `view`",
        split_heads,
        OLD_HEADS,
        "x_BNE.contiguous().view(len(x_BNE), heads, x_BNE.shape[1], x_BNE.shape[2] // heads)",
    ),
    Mutant("takes D for the heads", split_heads, "heads=heads", "d=heads"),
    Mutant("exchanges samples and tokens", split_heads, "b n (heads d)", "n b (heads d)"),
    Mutant("leaves the heads behind the tokens", split_heads, "b heads n d", "b n heads d"),
    Mutant("splits in float32", split_heads, "(x_BNE, ", "(x_BNE.float().to(x_BNE.dtype), "),
    Mutant("turns the heads around", split_heads, "heads=heads)", "heads=heads).flip(1)"),
    # 6.2
    Mutant("gives each column of patches the rows of one", patches, "(h p)", "(p h)"),
    Mutant("takes every w-th column", patches, "(w q) ->", "(q w) ->"),
    Mutant("keeps the channels in front", patches, "(p q c)", "(c p q)"),
    Mutant("goes through the patches by columns", patches, "(h w)", "(w h)"),
    Mutant("goes through a patch by columns", patches, "(p q c)", "(q p c)"),
    Mutant("exchanges p and q", patches, "p=p, q=q", "p=q, q=p"),
    Mutant(
        "only reshapes",
        patches,
        OLD_PATCHES,
        "x_BCHW.reshape(len(x_BCHW), x_BCHW[0, 0].numel() // (p * q), p * q * x_BCHW.shape[1])",
    ),
    Mutant("cuts in float32", patches, "(x_BCHW, ", "(x_BCHW.float().to(x_BCHW.dtype), "),
    Mutant("returns float64", patches, "(x_BCHW, ", "(x_BCHW.double(), "),
    Mutant("writes to the image", patches, "(x_BCHW, ", "(x_BCHW.mul_(1), "),
    # Sentences, by einops and by hand
    Mutant("shuffles by columns", in_words, "(c p q)", "(c q p)"),
    Mutant(
        "sums the rows alone",
        in_words,
        'reduce(x_BCHW, "b c h w -> b c", "sum")',
        "x_BCHW[..., :1].sum((2, 3))",
    ),
    Mutant("takes the smallest", in_words, '"max"', '"min"'),
    Mutant(
        "tiles in place of enlarging", in_words, 'b c (h p) (w q)", p=2, q=3)', 'b c (p h) (q w)", p=2, q=3)'
    ),
    Mutant(
        "moves the wrong way",
        by_hand,
        "[names.index(name) for name in order]",
        "[order.index(name) for name in names]",
    ),
    Mutant(
        "does not move", by_hand, "names.index(name) for name in order", "names.index(name) for name in names"
    ),
    Mutant("loses the dtype", by_hand, "tensor.reshape(", "tensor.double().reshape("),
    Mutant(
        "reshapes back",
        there_and_back,
        'rearrange(there, f"{right} -> {left}", **sizes)',
        "there.reshape(tensor.shape)",
    ),
    Mutant(
        "reshapes on the way",
        there_and_back,
        "rearrange(tensor, pattern, **sizes)",
        "tensor.reshape(rearrange(tensor, pattern, **sizes).shape)",
    ),
    Mutant("gives no sizes", refusal, "**sizes", "**{}"),
    Mutant("asks about four dims", refusal, "torch.zeros(2, 3, 4)", "torch.zeros(2, 3, 4, 5)"),
    # Copies
    Mutant("rearranges a clone", is_view, "rearrange(pattern.tensor,", "rearrange(pattern.tensor.clone(),"),
    Mutant(
        "copies what `repeat` returns",
        bytes_of_repeats,
        '"h w -> c h w", c=5)',
        '"h w -> c h w", c=5).clone()',
    ),
    Mutant("repeats four times", bytes_of_repeats, '(c h) w", c=5)', '(c h) w", c=4)'),
    Mutant("writes into a clone", written, "made = repeated(own_HW)", "made = repeated(own_HW).clone()"),
    # 6.3
    Mutant("repeats each row", tile, "(r h)", "(h r)"),
    Mutant("repeats each column", tile, "(s w)", "(w s)"),
    Mutant("repeats rows alone", tile, "s=r)", "s=1)"),
    Mutant("interleaves", tile, MERGED, 'rearrange(own, "r h s w -> (h r) (w s)")'),
    Mutant("keeps the image's own memory", tile, "spread.clone()", "spread"),
    Mutant("copies only what is not dense", tile, "spread.clone()", "spread.contiguous()"),
    Mutant(
        "clones the image and not its repeats",
        tile,
        "spread.clone()",
        'repeat(x_HW.clone(), "h w -> r h s w", r=r, s=r)',
    ),
    Mutant("tiles in float32", tile, "repeat(x_HW,", "repeat(x_HW.float().to(x_HW.dtype),"),
    # Compiled
    Mutant(
        "breaks the graph",
        graphs_of,
        "torch.compile(function, ",
        "torch.compile(lambda *x: function(*[y * 1 for y in x], *[torch._dynamo.graph_break()] * 0), ",
    ),
)
