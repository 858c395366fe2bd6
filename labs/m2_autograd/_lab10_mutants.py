"""The known mistakes of lab 10."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab10_helpers import cardano, fitted, in_one_function, in_one_graph
from labs.m2_autograd.lab10_custom_autograd_function import (
    composed_gelu,
    declared,
    frugal_linear,
    implicit_root,
    lean_gelu,
    root_as_operator,
    solved_by_unrolling,
)

MUTANTS = (
    Mutant("takes too short steps", solved_by_unrolling, "y_N * y_N + 1)", "y_N * y_N + 9)"),
    Mutant("records one round", solved_by_unrolling, "range(rounds)", "range(1)"),
    Mutant("squares by a power", solved_by_unrolling, "(3 * y_N * y_N + 1)", "(3 * y_N**2 + 1)"),
    Mutant("takes twenty rounds always", implicit_root, "(x_N, rounds)", "(x_N, 20)"),
    Mutant("forgets the factor 3", implicit_root, "1 + 3 * y_N * y_N", "1 + y_N * y_N"),
    Mutant(
        "forgets the gradient that comes in",
        implicit_root,
        "return grad_N /",
        "return torch.ones_like(grad_N) /",
    ),
    Mutant(
        "takes the slope at x",
        implicit_root,
        "ctx.save_for_backward(output)",
        "ctx.save_for_backward(*inputs)",
    ),
    Mutant(
        "keeps x as well",
        implicit_root,
        "ctx.save_for_backward(output)",
        "ctx.save_for_backward(output, *inputs)",
    ),
    Mutant("hides y from the graph", implicit_root, "ctx.saved_tensors[0]", "ctx.saved_tensors[0].detach()"),
    Mutant(
        "keeps y behind autograd's back",
        implicit_root,
        "ctx.save_for_backward(output)",
        "setattr(ctx, 'saved', output); ctx.save_for_backward(output.clone())",
    ),
    Mutant("has no vmap rule", implicit_root, "generate_vmap_rule = True", "generate_vmap_rule = False"),
    Mutant(
        "divides the incoming gradient in place",
        implicit_root,
        "grad_N / (1 + 3 * y_N * y_N)",
        "(torch.div if torch.is_grad_enabled() else Tensor.div_)(grad_N, 1 + 3 * y_N * y_N)",
    ),
    Mutant("counts in float32", implicit_root, "(x_N, rounds)", "(x_N.float(), rounds).to(x_N.dtype)"),
    Mutant("doubles every gradient", declared, "return backward(grad_N,", "return backward(2 * grad_N,"),
    Mutant("sends ones back", declared, "return backward(grad_N,", "return backward(grad_N * 0 + 1,"),
    Mutant("changes every value", declared, "return forward(x_N)", "return forward(x_N) + 1"),
    Mutant(
        "keeps no graph",
        declared,
        "kept_N = keep(*inputs, output)",
        "kept_N = keep(*inputs, output).detach()",
    ),
    Mutant("is never mapped", declared, "generate_vmap_rule = mapped", "generate_vmap_rule = False"),
    Mutant("pushes twice as hard", declared, "return backward(tangent_N,", "return backward(2 * tangent_N,"),
    Mutant("walks uphill", fitted, "0.4 * value", "-0.4 * value"),
    Mutant(
        "computes the input's gradient always", frugal_linear, " if ctx.needs_input_grad[0] else None", ""
    ),
    Mutant(
        "computes the weight's gradient always", frugal_linear, " if ctx.needs_input_grad[1] else None", ""
    ),
    Mutant(
        "asks after the other",
        frugal_linear,
        "w_OI if ctx.needs_input_grad[0]",
        "w_OI if ctx.needs_input_grad[1]",
    ),
    Mutant(
        "scrambles the transpose",
        frugal_linear,
        "grad_BO.t() @ x_BI",
        "(x_BI.t() @ grad_BO).reshape(w_OI.shape)",
    ),
    Mutant(
        "averages over the batch",
        frugal_linear,
        "grad_BO.t() @ x_BI",
        "grad_BO.t() @ x_BI / max(len(x_BI), 1)",
    ),
    Mutant("sends ones to the input", frugal_linear, "grad_BO @ w_OI", "torch.ones_like(grad_BO) @ w_OI"),
    Mutant(
        "hides x and w from the graph",
        frugal_linear,
        "= ctx.saved_tensors",
        "= (tensor.detach() for tensor in ctx.saved_tensors)",
    ),
    Mutant(
        "multiplies in float32",
        frugal_linear,
        "grad_BO.t() @ x_BI",
        "(grad_BO.t().float() @ x_BI.float()).to(x_BI.dtype)",
    ),
    Mutant("forgets the incoming sign", frugal_linear, "grad_BO.t() @", "grad_BO.abs().t() @"),
    Mutant("multiplies in place of raising to a power", composed_gelu, "x_N**3", "x_N * x_N * x_N"),
    Mutant(
        "keeps the result as well",
        lean_gelu,
        "ctx.save_for_backward(*inputs)",
        "ctx.save_for_backward(*inputs, output)",
    ),
    Mutant("gives the slope alone", lean_gelu, "x_N, grad_N)[0]", "x_N, torch.ones_like(grad_N))[0]"),
    Mutant("may be differentiated twice", lean_gelu, "@once_differentiable", "@staticmethod"),
    Mutant(
        "gives its gradient a graph",
        lean_gelu,
        "slope_N: Tensor = torch.autograd.grad(composed_gelu(x_N), x_N, grad_N)[0]",
        "x_N = ctx.saved_tensors[0]; slope_N = torch.func.vjp(composed_gelu, x_N)[1](grad_N)[0]",
    ),
    Mutant(
        "calls the hooks of x twice",
        lean_gelu,
        "ctx.saved_tensors[0].detach().requires_grad_()",
        "ctx.saved_tensors[0]",
    ),
    Mutant(
        "keeps a copy of x",
        lean_gelu,
        "ctx.save_for_backward(*inputs)",
        "ctx.save_for_backward(inputs[0].clone())",
    ),
    Mutant("multiplies twice by what comes in", lean_gelu, "x_N, grad_N)[0]", "x_N, grad_N)[0] * grad_N"),
    Mutant(
        "takes the plain GELU's slope",
        lean_gelu,
        "torch.autograd.grad(composed_gelu(x_N),",
        "torch.autograd.grad(functional.gelu(x_N),",
    ),
    Mutant(
        "keeps x in the older way", in_one_function, "ctx.save_for_backward(y)", "ctx.save_for_backward(x)"
    ),
    Mutant("solves another equation", cardano, "1 / 27", "1 / 9"),
    Mutant(
        "promises another type",
        root_as_operator,
        "torch.empty_like(x, dtype=torch.result_type(x, 1.0))",
        "torch.empty_like(x)",
    ),
    Mutant(
        "compiles something around it",
        in_one_graph,
        "torch.compile(function,",
        "torch.compile(lambda x: function(x) + 1,",
    ),
)

ONE_KEPT = "One tensor was kept, so the first is the last."
ONE_ASKED = "A gradient was asked for one tensor, so the first is the last."
EQUIVALENT = (
    Equivalent(implicit_root, "ctx.saved_tensors[0]", "ctx.saved_tensors[-1]", ONE_KEPT),
    Equivalent(lean_gelu, "ctx.saved_tensors[0]", "ctx.saved_tensors[-1]", ONE_KEPT),
    Equivalent(
        lean_gelu,
        "torch.autograd.grad(composed_gelu(x_N), x_N, grad_N)[0]",
        "torch.autograd.grad(composed_gelu(x_N), x_N, grad_N)[-1]",
        ONE_ASKED,
    ),
)
