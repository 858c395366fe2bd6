"""The known mistakes of lab 09."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab09_helpers import (
    inference_ones,
    kept_in,
    left_in_the_middle,
    made_in,
    moved,
    observed,
    taken,
    written_to_outside,
)
from labs.m2_autograd.lab09_requires_grad_mechanics import (
    evaluate,
    in_another_thread,
    spoiled,
    through_frozen,
    through_switched_off,
)

SUM = "total += loss_sum(model(x), y).item()"
MUTANTS = (
    Mutant("runs without the mode", observed, "with context():", "with torch.no_grad():"),
    Mutant("is always in training", observed, ".train(training)", ".train()"),
    Mutant("evaluates in training mode", evaluate, "model.eval()", "model.train()"),
    Mutant("switches nothing", evaluate, "model.eval()", "model.children()"),
    Mutant("builds the graph", evaluate, "torch.no_grad()", "torch.enable_grad()"),
    Mutant("returns a tensor", evaluate, SUM, "total = total + loss_sum(model(x), y)"),
    Mutant("wakes every module", evaluate, "module.training = training", "module.train()"),
    Mutant("leaves the model in eval()", evaluate, "module.training = training", "module.training = False"),
    Mutant("puts the root's mode back and no other", evaluate, "in model.modules()}", "in [model]}"),
    Mutant(
        "gives every module the root's mode",
        evaluate,
        "module.training = training",
        "module.train(modes[model])",
    ),
    Mutant(
        "means the means of batches",
        evaluate,
        SUM,
        "total, count = total + loss_sum(model(x), y).item() / max(len(x), 1), count + 1 - len(x)",
    ),
    Mutant("divides by the number of batches", evaluate, "count += len(x)", "count += 1"),
    Mutant("leaves the graph off", evaluate, "model.eval()", "model.eval(), torch.set_grad_enabled(False)"),
    Mutant(
        "switches the graph on in any case",
        evaluate,
        "module.training = training",
        "module.training = training; torch.set_grad_enabled(True)",
    ),
    Mutant(
        "does not clean up after a failure",
        evaluate,
        "in modes.items():",
        "in (modes.items() if count == sum(len(x) for x, y in batches) else ()):",
    ),
    Mutant("adds in float32", evaluate, ".item()", ".float().item()"),
    Mutant("writes to a copy", spoiled, "cut_N = cut(y_N)", "cut_N = cut(y_N).clone()"),
    Mutant(
        "runs frozen layers under no_grad",
        through_frozen,
        "x = layer(x)",
        "with torch.set_grad_enabled(place not in frozen): x = layer(x)",
    ),
    Mutant(
        "detaches what a frozen layer returns",
        through_frozen,
        "x = layer(x)",
        "x = layer(x).detach() if place in frozen else layer(x)",
    ),
    Mutant(
        "leaves the flags off",
        through_frozen,
        "requires_grad_(flag)",
        "requires_grad_(flag and place not in frozen)",
    ),
    Mutant("switches every flag on", through_frozen, "requires_grad_(flag)", "requires_grad_(True)"),
    Mutant(
        "throws an earlier gradient away",
        through_frozen,
        "layer.requires_grad_(False)",
        "layer.requires_grad_(False).zero_grad()",
    ),
    Mutant("freezes all layers", through_frozen, "if place in frozen:", "if frozen:"),
    Mutant("freezes no layer", through_frozen, "layer.requires_grad_(False)", "layer.eval()"),
    Mutant("freezes the others", through_frozen, "if place in frozen:", "if place not in frozen:"),
    Mutant(
        "forgets the bias",
        through_frozen,
        "layer.requires_grad_(False)",
        "[parameter.requires_grad_(False) for parameter in layer.parameters() if parameter.dim() > 1]",
    ),
    Mutant(
        "freezes a layer wherever it stands",
        through_frozen,
        "if place in frozen:",
        "if any(layer is layers[held] for held in frozen):",
    ),
    Mutant("never switches off", through_switched_off, "and place not in off", ""),
    Mutant("leaves zeros in any case", moved, "set_to_none=grad == GRADS[1]", "set_to_none=False"),
    Mutant("forgets to freeze", moved, "weight_N.requires_grad_(False)", "weight_N.requires_grad_(True)"),
    Mutant("stays in training", kept_in, ".train(training)", ".train()"),
    Mutant("makes ordinary tensors", taken, "torch.inference_mode(inference)", "torch.no_grad()"),
    Mutant("makes ones under no_grad", inference_ones, "torch.inference_mode()", "torch.no_grad()"),
    Mutant("adds to a clone", written_to_outside, "t_N.add_(1)", "t_N.clone().add_(1)"),
    Mutant("asks in the same thread", in_another_thread, "pool.submit(asked).result()", "asked()"),
    Mutant("lets the generator end", left_in_the_middle, "next(numbers)", "list(numbers)"),
    Mutant("makes everything with the graph on", made_in, "with mode():", "with GRAPH():"),
    Mutant("never freezes", kept_in, "model.requires_grad_(flags[0])", "model.requires_grad_(True)"),
    Mutant("keeps the graph on", kept_in, "with context():", "with GRAPH():"),
)

ZERO = "0 and 0.0 are equal, and the division returns a float in any case."
EQUIVALENT = (
    Equivalent(evaluate, "total, count = (0.0, 0)", "count, total = (0.0, 0)", ZERO),
    Equivalent(evaluate, "total, count = (0.0, 0)", "total, count = (0, 0.0)", ZERO),
)
