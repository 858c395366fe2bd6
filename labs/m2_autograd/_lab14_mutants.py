"""The known mistakes of lab 14."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab14_helpers import (
    descended,
    even_network,
    products_per_layer,
    pulled_twice,
    pushed_once,
    tangent_after,
    tried,
)
from labs.m2_autograd.lab14_forward_mode_ad import (
    forward_gradient,
    mlp,
    mlp_jvp,
    pulled,
    pushed,
    through,
    watched_push,
)

PRODUCT = "x.tangent * y.value + x.value * y.tangent"
QUOTIENT = "(x.tangent - value * y.tangent) / y.value"
MEAN = "(slopes_S[:, None] * v_SN).mean(0)"
DRAW = "torch.randn(samples, *x_N.shape, dtype=x_N.dtype)"

MUTANTS = (
    Mutant("takes the quotient rule with a plus", through, QUOTIENT, QUOTIENT.replace(" - ", " + ")),
    Mutant(
        "divides by y and not by y²",
        through,
        QUOTIENT,
        "(x.tangent * y.value - x.value * y.tangent) / y.value",
    ),
    Mutant("divides the tangents", through, QUOTIENT, "x.tangent / y.tangent"),
    Mutant("moves one factor only", through, PRODUCT, "x.value * y.tangent + 0 * x.tangent"),
    Mutant("multiplies the tangents", through, PRODUCT, "x.tangent * y.tangent"),
    Mutant(
        "pairs each tangent with its own value", through, PRODUCT, "x.tangent * x.value + y.value * y.tangent"
    ),
    Mutant("forgets the tangent that comes in", through, "x.value.cos() * x.tangent", "x.value.cos()"),
    Mutant("takes the slope of the cosine", through, "x.value.cos() *", "-x.value.sin() *"),
    Mutant(
        "multiplies in float32",
        through,
        "x.value * y.value",
        "(x.value.float() * y.value.float()).to(x.value.dtype)",
    ),
    Mutant("leaves out tanh", mlp, "torch.tanh(x_BI @ w_OI.t())", "x_BI @ w_OI.t()"),
    Mutant("takes the slope at the wrong place", mlp_jvp, "(1 - x_BI * x_BI)", "(1 - torch.tanh(x_BI) ** 2)"),
    Mutant("forgets the slope of tanh", mlp_jvp, "(1 - x_BI * x_BI) *", "1 *"),
    Mutant(
        "sends the direction through tanh too", mlp_jvp, "(v_BI @ w_OI.t())", "torch.tanh(v_BI @ w_OI.t())"
    ),
    Mutant(
        "leaves out the last layer's slope",
        mlp_jvp,
        "(1 - x_BI * x_BI)",
        "(1 if w_OI is weights[-1] else 1 - x_BI * x_BI)",
    ),
    Mutant("moves all samples as the first one", mlp_jvp, "(v_BI @", "(v_BI[:1] @"),
    Mutant(
        "keeps every layer",
        mlp_jvp,
        "x_BI = torch.tanh(x_BI @ w_OI.t())",
        "x_BI = torch.tanh(x_BI @ w_OI.t()); weights = [*weights, x_BI]",
    ),
    Mutant(
        "multiplies by the weights' zero tangent",
        mlp_jvp,
        "v_BI = (1 - x_BI * x_BI) * (v_BI @ w_OI.t())",
        "v_BI = (1 - x_BI * x_BI) * (v_BI @ w_OI.t() + x_BI @ x_BI.new_zeros(len(w_OI), len(w_OI)))",
    ),
    Mutant("moves twice as far", pushed, "make_dual(x_BI, v_BI)", "make_dual(x_BI, 2 * v_BI)"),
    Mutant("pulls twice as hard", pulled, "x_BI, u_BO)", "x_BI, 2 * u_BO)"),
    Mutant("pulls by ones", pulled, "x_BI, u_BO)", "x_BI, torch.ones_like(u_BO))"),
    Mutant("has one layer more", even_network, "depth + 1)", "depth + 2)"),
    Mutant("freezes the weights", watched_push, "requires_grad_()", "requires_grad_(False)"),
    Mutant("records all the same", watched_push, "(recorded)", "(True)"),
    Mutant("goes the plain way always", tangent_after, "WAYS[way](", "torch.sin("),
    Mutant("detaches always", tangent_after, "WAYS[way](", "WAYS['detach']("),
    Mutant("counts multiplications alone", products_per_layer, "get_total_flops()", "get_total_flops() / 2"),
    Mutant("pulls where it should push", tried, "answer(pushed_once, name)", "answer(pulled_twice, name)"),
    Mutant("pushes where it should pull", tried, "answer(pulled_twice, name)", "answer(pushed_once, name)"),
    Mutant("pushes twice as far", pushed_once, "make_dual(x, t)", "make_dual(x, 2 * t)"),
    Mutant("pulls v back with another sign", pulled_twice, "(pulled, u, t)", "(pulled, u, -t)"),
    Mutant("draws from 0 to 1", forward_gradient, "torch.randn(", "torch.rand("),
    Mutant(
        "makes every direction as long as 1", forward_gradient, DRAW, f"torch.nn.functional.normalize({DRAW})"
    ),
    Mutant(
        "goes one way for all samples", forward_gradient, DRAW, "torch.randn_like(x_N).expand(samples, -1)"
    ),
    Mutant("forgets the signs of v", forward_gradient, MEAN, "(slopes_S[:, None] * v_SN.abs()).mean(0)"),
    Mutant("forgets to multiply by v", forward_gradient, MEAN, "slopes_S.mean() + 0 * x_N"),
    Mutant("multiplies the means", forward_gradient, MEAN, "slopes_S.mean() * v_SN.mean(0)"),
    Mutant("divides by n as well", forward_gradient, MEAN, f"{MEAN} / len(x_N)"),
    Mutant("sums up", forward_gradient, MEAN, MEAN.replace("mean", "sum")),
    Mutant("takes too long steps", descended, "/ (size + 2)", "/ (size + 2) * 4"),
)

EQUIVALENT = (
    Equivalent(
        through,
        "if operation == 'sin': if operation == '*': x, y = numbers",
        "if operation == 'sin': if operation == '*': y, x = numbers",
        "A product is the same in either order, and so is its tangent.",
    ),
)
