"""The fixed list of systematic edits: each rule looks at one node of a step's code and yields what could stand there instead."""

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeGuard

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **COMPARISONS, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
ORDERED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.MatMult)  # the order of their operands matters
COUNTERPARTS = {
    "min": "max", "amin": "amax", "argmin": "argmax", "minimum": "maximum", "any": "all", "floor": "ceil",
    "zeros": "ones", "zeros_like": "ones_like", "MIN": "MAX", "float32": "float64", "int64": "int32", "int8": "uint8",
    "complex64": "complex128", "float": "double", "long": "int",
}  # fmt: skip
NAMES = {
    **COUNTERPARTS, **{other: name for name, other in COUNTERPARTS.items()},
    "sum": "mean", "mean": "sum", "SUM": "MAX", "float16": "float32", "bfloat16": "float32", "half": "float", "bool": "uint8",
}  # fmt: skip
SYMMETRIC = frozenset({"min", "max", "minimum", "maximum", "add", "mul", "eq", "equal", "allclose", "gcd"})
# Without these a line cannot run at all, or (`cast`, `strict=`) it runs as before: nothing would be learnt.
INDISPENSABLE = frozenset({"range", "zip", "enumerate", "len", "isinstance", "cast", "super"})
CHECKS = frozenset({"strict"})


@dataclass(frozen=True)
class Place:
    """A node of a step's code, what stands around it, and the names that the step's file knows."""

    node: ast.AST
    parents: tuple[ast.AST, ...]  # from the function inwards
    namespace: Mapping[str, Any]

    @property
    def parent(self) -> ast.AST:
        return self.parents[-1]


Rule = Callable[[Place], Iterator[ast.AST]]


def replacements(place: Place) -> Iterator[ast.AST]:
    """Yield everything that the rules put in the place of a node."""
    for rule in RULES:
        yield from rule(place)


def comparisons(place: Place) -> Iterator[ast.AST]:
    if isinstance(node := place.node, ast.Compare):
        for at, op in enumerate(node.ops):
            ops = [*node.ops[:at], COMPARISONS[type(op)](), *node.ops[at + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def arithmetic(place: Place) -> Iterator[ast.AST]:
    """Swap an operator, and the operands of one whose order matters."""
    node = place.node
    if isinstance(node, ast.BinOp):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        if isinstance(node.op, ORDERED):
            yield ast.BinOp(node.right, node.op, node.left)
    if isinstance(node, ast.AugAssign):
        yield ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        yield ast.Assign([node.target], node.value, lineno=node.lineno)


def logic(place: Place) -> Iterator[ast.AST]:
    """Swap `and` and `or`, drop a sign or a `not`."""
    node = place.node
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    if isinstance(node, ast.UnaryOp) and number_of(node) is None:
        yield node.operand


def conditions(place: Place) -> Iterator[ast.AST]:
    """Negate what an `if`, a `while` or a comprehension asks."""
    node, parent = place.node, place.parent
    asked = (isinstance(parent, ast.If | ast.While | ast.IfExp) and node is parent.test) or (
        isinstance(parent, ast.comprehension) and node in parent.ifs
    )
    if asked and isinstance(node, ast.expr):
        yield opposite(node)


def opposite(node: ast.expr) -> ast.expr:
    """Return a condition's negation, as a person would write it."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return ast.Compare(node.left, [OPPOSITES[type(node.ops[0])]()], node.comparators)
    return ast.UnaryOp(ast.Not(), node)


def constants(place: Place) -> Iterator[ast.AST]:
    """Take one off a number or add one, put 0 and 1 in its place; turn True and False.

    That covers dims (0 ↔ 1, 0 ↔ -1) and first and last index too. 1 ↔ -1 is left out: of a matrix they are the same dim.
    """
    node = place.node
    checks = isinstance(place.parent, ast.keyword) and place.parent.arg in CHECKS
    if isinstance(node, ast.Constant) and isinstance(node.value, bool) and not checks:
        yield ast.Constant(not node.value)
    number = number_of(node)
    if number is None or number_of(place.parent) is not None:
        return
    kind = type(number)
    others = [number - 1, number + 1, *([kind(0), kind(1)] if number >= 0 else [])]
    yield from (
        ast.Constant(other) if other >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-other))
        for other in others
        if other != number
    )


def number_of(node: ast.AST) -> int | float | None:
    """Return the number that is written here, with its sign, or None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number_of(node.operand) if isinstance(node.operand, ast.Constant) else None
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None


def names(place: Place) -> Iterator[ast.AST]:
    """Put min in the place of max, float64 of float32, ones of zeros, and so on."""
    node = place.node
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    if (
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and hasattr(builtins, node.id)
        and hasattr(builtins, NAMES.get(node.id, ""))
    ):
        yield ast.Name(NAMES[node.id], node.ctx)


def dropped_calls(place: Place) -> Iterator[ast.AST]:
    """Drop a call: `f(x)` becomes `x`, and a link of a chain, `x.clone()`, becomes `x`."""
    node = place.node
    if not isinstance(node, ast.Call) or isinstance(place.parent, ast.Expr) or called(node) in INDISPENSABLE:
        return
    if is_method(node, place.namespace):
        assert isinstance(node.func, ast.Attribute)
        yield node.func.value
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]


def arguments(place: Place) -> Iterator[ast.AST]:
    """Drop an argument or a keyword, and swap two arguments that stand side by side."""
    node = place.node
    if not isinstance(node, ast.Call) or called(node) in INDISPENSABLE:
        return
    if len(node.args) > 1 or is_method(node, place.namespace):
        for at in range(len(node.args)):
            yield ast.Call(node.func, [*node.args[:at], *node.args[at + 1 :]], node.keywords)
    for at, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in CHECKS:
            yield ast.Call(node.func, node.args, [*node.keywords[:at], *node.keywords[at + 1 :]])
    if called(node) not in SYMMETRIC:
        for args in neighbours_swapped(node.args):
            yield ast.Call(node.func, args, node.keywords)


def called(node: ast.Call) -> str:
    """Return the last name of what is called."""
    return (
        node.func.id
        if isinstance(node.func, ast.Name)
        else node.func.attr
        if isinstance(node.func, ast.Attribute)
        else ""
    )


def is_method(node: ast.Call, namespace: Mapping[str, Any]) -> bool:
    """Tell whether `a.b(…)` calls a method of an object, and no function of a module or class of the file."""
    root = node.func
    while isinstance(root, ast.Attribute):
        root = root.value
    of_module = isinstance(root, ast.Name) and isinstance(namespace.get(root.id), ModuleType | type)
    return isinstance(node.func, ast.Attribute) and not of_module


def ranges(place: Place) -> Iterator[ast.AST]:
    """Move the bounds of a range, where they are no plain numbers."""
    node = place.node
    if not isinstance(node, ast.Call) or called(node) != "range" or node.keywords:
        return
    for at, bound in enumerate(node.args):
        for other in moved(bound):
            yield ast.Call(node.func, [*node.args[:at], other, *node.args[at + 1 :]], [])
    if len(node.args) == 1:
        yield ast.Call(node.func, [ast.Constant(1), *node.args], [])


def slices(place: Place) -> Iterator[ast.AST]:
    """Drop an end of a slice or its step, move an end, and cut one number off at an open end."""
    node = place.node
    if not isinstance(node, ast.Slice) or not (node.lower or node.upper or node.step):
        return
    lower, upper, step = node.lower, node.upper, node.step
    yield ast.Slice(None, upper, step)
    yield ast.Slice(lower, None, step)
    yield ast.Slice(lower, upper, None)
    if lower is None and upper is not None:
        yield ast.Slice(ast.Constant(1), upper, step)
    if upper is None and lower is not None:
        yield ast.Slice(lower, ast.UnaryOp(ast.USub(), ast.Constant(1)), step)
    yield from (ast.Slice(other, upper, step) for other in moved(lower))
    yield from (ast.Slice(lower, other, step) for other in moved(upper))


def moved(bound: ast.expr | None) -> Iterator[ast.expr]:
    """Yield a bound plus and minus one, unless it is a plain number, which the rule for numbers moves."""
    if bound is not None and number_of(bound) is None and not isinstance(bound, ast.Starred):
        yield ast.BinOp(bound, ast.Add(), ast.Constant(1))
        yield ast.BinOp(bound, ast.Sub(), ast.Constant(1))


def tuples(place: Place) -> Iterator[ast.AST]:
    """Swap items of a tuple that stand side by side: what is returned, sizes and strides, what is unpacked."""
    node = place.node
    if isinstance(node, ast.Tuple):
        for items in neighbours_swapped(node.elts):
            yield ast.Tuple(items, node.ctx)


def neighbours_swapped(items: list[ast.expr]) -> Iterator[list[ast.expr]]:
    for at in range(len(items) - 1):
        if not any(isinstance(item, ast.Starred) for item in items[at : at + 2]):
            yield [*items[:at], items[at + 1], items[at], *items[at + 2 :]]


def removed_lines(place: Place) -> Iterator[ast.AST]:
    """Leave a line out, unless nothing could run without it; take the `with` away from its lines."""
    node = place.node
    simple = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Return, ast.Raise)
    if isinstance(node, (*simple, ast.Break, ast.Continue)) and not vital(place):
        yield ast.Pass()
    if isinstance(node, ast.With) and not any(item.optional_vars for item in node.items):
        yield ast.If(ast.Constant(True), node.body, [])


def vital(place: Place) -> bool:
    """Tell whether a statement is a function's last `return`, or the first that binds a name."""
    node, function = place.node, place.parents[0]
    if isinstance(node, ast.Return):
        return is_last(node, place.parents)
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    made = {name.id for target in targets for name in ast.walk(target) if is_stored(name)}
    before = {
        name.id
        for name in ast.walk(function)
        if is_stored(name) and (name.lineno, name.col_offset) < (node.lineno, node.col_offset)
    }
    return not made <= before | {
        argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)
    }


def is_last(node: ast.AST, parents: tuple[ast.AST, ...]) -> bool:
    """Tell whether a statement ends its function, also as the end of a `with`."""
    *outer, parent = parents
    at_the_end = isinstance(parent, ast.FunctionDef | ast.With) and node is parent.body[-1]
    return at_the_end and (isinstance(parent, ast.FunctionDef) or is_last(parent, tuple(outer)))


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


RULES: tuple[Rule, ...] = (
    comparisons, arithmetic, logic, conditions, constants, names, dropped_calls, arguments, ranges, slices, tuples, removed_lines,
)  # fmt: skip
