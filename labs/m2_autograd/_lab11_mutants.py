"""The known mistakes of lab 11."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab11_helpers import by_formula, double_well, operators, second_derivative, ways_of
from labs.m2_autograd.lab11_jacobian_and_hessian import (
    by_columns,
    by_rows,
    hvp,
    jacobian,
    newton_step,
    of_a_batch,
    rosenbrock_hessian,
    through_a_step,
)

PULLED = "pull(v_N)[0]"
SOLVED = "torch.linalg.solve(hessian_NN, slope_N)"

MUTANTS = (
    Mutant("pushes always", jacobian, "if forward:", "if True:"),
    Mutant("pulls where it should push", jacobian, "if forward:", "if not forward:"),
    Mutant(
        "lays the transpose out as rows",
        jacobian,
        "jacobian_MN[m] = pull",
        "jacobian_MN.view(-1)[m :: len(y_M)] = pull",
    ),
    Mutant(
        "takes it to be square",
        jacobian,
        "enumerate(torch.eye(len(y_M), dtype=x_N.dtype))",
        "enumerate(torch.eye(len(y_M), dtype=x_N.dtype)[: len(x_N)])",
    ),
    Mutant("sums the outputs", jacobian, "pull(e_M)", "pull(torch.ones_like(e_M))"),
    Mutant("moves all inputs at once", jacobian, "(e_N,)", "(torch.ones_like(e_N),)"),
    Mutant("gives the value for the slope", jacobian, "(e_N,))[1]", "(e_N,))[0]"),
    Mutant("counts in float32", jacobian, "(e_N,))[1]", "(e_N,))[1].float()"),
    Mutant("multiplies by the diagonal", hvp, PULLED, "hessian(f)(x_N).diagonal() * v_N"),
    Mutant("ignores the direction", hvp, PULLED, "pull(torch.ones_like(v_N))[0]"),
    Mutant("multiplies by the gradient", hvp, PULLED, "grad(f)(x_N) * v_N"),
    Mutant("takes Gauss and Newton's approximation", hvp, PULLED, "(grad(f)(x_N) @ v_N) * grad(f)(x_N)"),
    Mutant("shortens the direction to 1", hvp, PULLED, "pull(v_N / v_N.norm())[0]"),
    Mutant(
        "takes a difference of gradients", hvp, PULLED, "(grad(f)(x_N + 0.01 * v_N) - grad(f)(x_N)) / 0.01"
    ),
    Mutant("makes the whole Hessian", hvp, PULLED, "hessian(f)(x_N) @ v_N"),
    Mutant("pushes through the gradient", hvp, PULLED, "jvp(grad(f), (x_N,), (v_N,))[1]"),
    Mutant("walks uphill", newton_step, "x_N - ", "x_N + "),
    Mutant("divides by the diagonal", newton_step, SOLVED, "slope_N / hessian_NN.diagonal()"),
    Mutant("multiplies by the Hessian", newton_step, SOLVED, "hessian_NN @ slope_N"),
    Mutant(
        "takes every curvature to be positive",
        newton_step,
        SOLVED,
        "torch.cholesky_solve(slope_N[:, None], torch.linalg.cholesky_ex(hessian_NN)[0])[:, 0]",
    ),
    Mutant(
        "damps the step",
        newton_step,
        SOLVED,
        "torch.linalg.solve(hessian_NN + 0.1 * torch.eye(len(x_N), dtype=x_N.dtype), slope_N)",
    ),
    Mutant("goes half the way", newton_step, SOLVED, f"0.5 * {SOLVED}"),
    Mutant("loses a sign", by_formula, "torch.cos(c)", "-torch.cos(c)"),
    Mutant("turns the rows round", by_columns, "jacfwd(f)(x_N)", "jacfwd(f)(x_N).flip(0)"),
    Mutant("pulls row by row", by_rows, "chunk_size=chunk", "chunk_size=1"),
    Mutant("pulls all rows at once", by_rows, "chunk_size=chunk", "chunk_size=None"),
    Mutant(
        "mixes the samples",
        of_a_batch,
        "jacrev(f)(x_BN)",
        "jacrev(lambda x_BN: f(x_BN - x_BN.mean(0)))(x_BN)",
    ),
    Mutant("loses the sign beside the diagonal", rosenbrock_hessian, "-400 * here_N", "400 * here_N"),
    Mutant(
        "pulls in the place of a push", ways_of, "jvp, grad(loss), (x_N,), (v_N,)", "multiply, loss, x_N, v_N"
    ),
    Mutant("makes one valley", double_well, "- x_N[0] ** 2 / 2", "+ x_N[0] ** 2 / 2"),
    Mutant("forgets the graph", through_a_step, "create_graph=recorded", "create_graph=False"),
    Mutant("keeps the graph always", through_a_step, "create_graph=recorded", "create_graph=True"),
    Mutant(
        "asks along another direction",
        second_derivative,
        "(slope_at(leaf), leaf, v)",
        "(slope_at(leaf), leaf, 2 * v)",
    ),
    Mutant("fuses nothing", operators, "SDPBackend.FLASH_ATTENTION", "SDPBackend.MATH"),
)

PAIR = "Asked about one argument, a pull returns a tuple of one, so the first is the last."
EXACT = "0 and 1 are exact in every dtype, and `jvp` and `vjp` go on in that of x and y."
EQUIVALENT = (
    Equivalent(jacobian, "torch.eye(len(x_N), dtype=x_N.dtype)", "torch.eye(len(x_N))", EXACT),
    Equivalent(jacobian, "torch.eye(len(y_M), dtype=x_N.dtype)", "torch.eye(len(y_M))", EXACT),
    Equivalent(jacobian, "pull(e_M)[0]", "pull(e_M)[-1]", PAIR),
    Equivalent(hvp, "pull(v_N)[0]", "pull(v_N)[-1]", PAIR),
)
