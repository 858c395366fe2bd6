"""What every lab's parts and steps keep: how many there are, how long they are, how they are written."""

import ast
import re

import pytest

from labs.catalog import Entry
from tests.contract.reading import (
    arguments_of,
    body_lines,
    called_steps_of,
    every_lab,
    file_of,
    files_of,
    lesson_of,
    own_returns,
    parts_of,
    statements,
    steps_of,
    tree_of,
)

MAX_CLAIMS = 16
MAX_PART_LINES = 40
MAX_PART_STATEMENTS = 25
MAX_STEP_LINES = 30
MAX_STEPS = {False: 12, True: 16}  # in labs of one process, in distributed ones
ANY_SHAPE = {
    "tensor",
    "view",
    "x",
    "y",
    "t",
    "tensors",
    "grad",
    "loss",
    "value",
}  # tensors of any shape, and scalars
NO_ORDERS = {"a", "an", "the", "this", "it", "we", "you", "how", "what", "why", "when"}
NO_SUBJECTS = {"and", "with", "or", "so", "but", "then", "also", "which", "while"}


@every_lab
def test_a_lab_is_a_chapter_of_five_to_seven_parts(entry: Entry) -> None:
    assert 5 <= len(parts_of(entry)) <= 7


@every_lab
def test_run_lists_the_parts_in_the_order_of_the_file_and_does_nothing_else(entry: Entry) -> None:
    run = next(
        node
        for node in tree_of(file_of(entry)).body
        if isinstance(node, ast.FunctionDef) and node.name == "run"
    )
    assert [
        node.id for node in ast.walk(run) if isinstance(node, ast.Name) and node.id in parts_of(entry)
    ] == list(parts_of(entry))
    assert statements(run) <= 2


@every_lab
def test_a_part_is_no_wall(entry: Entry) -> None:
    sizes = {name: (body_lines(part), statements(part)) for name, part in parts_of(entry).items()}
    walls = {
        name: size
        for name, size in sizes.items()
        if size[0] > MAX_PART_LINES or size[1] > MAX_PART_STATEMENTS
    }
    assert walls == {}


@every_lab
def test_a_part_has_a_heading_and_an_argument(entry: Entry) -> None:
    bare = []
    for name, part in parts_of(entry).items():
        heading, _, argument = (ast.get_docstring(part) or "").partition("\n")
        if not heading or len(heading) > 80 or len(re.findall(r"[.!?:](?:\s|$)", argument)) < 3:
            bare.append(name)
    assert bare == []


@every_lab
def test_steps_are_few_and_short(entry: Entry) -> None:
    assert 4 <= len(called_steps_of(entry)) <= MAX_STEPS[entry.distributed]
    assert {
        name: body_lines(step) for name, step in steps_of(entry).items() if body_lines(step) > MAX_STEP_LINES
    } == {}


@every_lab
def test_every_step_begins_with_an_order(entry: Entry) -> None:
    wrong = {}
    for name, step in called_steps_of(entry).items():
        first = (ast.get_docstring(step) or "").partition("\n")[0]
        word = first.partition(" ")[0].rstrip(",:")
        third_person = word.endswith("s") and not word.endswith("ss")
        if not first.endswith(".") or not word[:1].isupper() or word.lower() in NO_ORDERS or third_person:
            wrong[name] = first
    assert wrong == {}


@every_lab
def test_every_step_is_annotated(entry: Entry) -> None:
    steps = steps_of(entry).items()
    assert [
        name
        for name, step in steps
        if step.returns is None or any(arg.annotation is None for arg in arguments_of(step))
    ] == []


@every_lab
def test_shapes_stand_in_names_and_their_letters_in_the_legend(entry: Entry) -> None:
    source = file_of(entry).read_text("utf-8")
    legend = re.search(r"^# Shape letters:((?:.*\n#)*.*)", source, re.MULTILINE)
    assert legend is not None
    letters = set(re.findall(r"\b[A-Z]\b", legend[1]))
    wrong = []
    for name, step in steps_of(entry).items():
        for argument in arguments_of(step):
            suffix = re.search(r"_([A-Z]+)$", argument.arg)
            of_tensors = argument.annotation is not None and ast.unparse(argument.annotation) in (
                "Tensor",
                "torch.Tensor",
            )
            if of_tensors and not suffix and argument.arg not in ANY_SHAPE:
                wrong.append(f"{name}({argument.arg}) has no shape in its name")
    names = {node.id for node in ast.walk(tree_of(file_of(entry))) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree_of(file_of(entry))) if isinstance(node, ast.arg)}
    for name in names:
        suffix = re.search(r"^[a-z]\w*?_([A-Z]+)$", name)
        if suffix and not set(suffix[1]) <= letters:
            wrong.append(f"{name} has letters that the legend lacks")
    assert wrong == []


@every_lab
def test_one_letter_has_one_meaning(entry: Entry) -> None:
    source = file_of(entry).read_text("utf-8")
    legend = re.search(r"^# Shape letters:((?:.*\n#)*.*)", source, re.MULTILINE)
    assert legend is not None
    letters = re.findall(r"\b[A-Z]\b", legend[1])
    assert sorted(letters) == sorted(set(letters))


@every_lab
def test_a_step_does_not_print_judge_or_look_around(entry: Entry) -> None:
    wrong = []
    for name, step in called_steps_of(entry).items():
        names = {node.id for node in ast.walk(step) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(step) if isinstance(node, ast.Attribute)}
        looking = names & {"print", "lab", "input", "argparse"} | attributes & {"environ", "getenv", "argv"}
        wrong += [f"{name} uses {used}" for used in sorted(looking)]
    assert wrong == []


@every_lab
def test_a_step_returns_the_thing_itself_and_no_verdict(entry: Entry) -> None:
    verdicts = [
        f"{name}: {ast.unparse(found)}"
        for name, step in called_steps_of(entry).items()
        for found in own_returns(step)
        if isinstance(found.value, ast.Compare | ast.BoolOp)
        or (isinstance(found.value, ast.UnaryOp) and isinstance(found.value.op, ast.Not))
    ]
    assert verdicts == []


@every_lab
def test_calls_say_what_true_and_false_mean_and_no_lambda_returns_one(entry: Entry) -> None:
    wrong = []
    for path in files_of(entry):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and len(node.args) > 1 and ast.unparse(node.func) != "lab.equal":
                given = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                wrong += [f"{path.name}:{node.lineno}" for value in given if isinstance(value, bool)]
            if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Lambda):
                wrong.append(f"{path.name}:{node.lineno}")
    assert wrong == []


@every_lab
def test_claims_are_few_whole_sentences(entry: Entry) -> None:
    sentences = lesson_of(entry.number).sentences
    assert 5 <= len(sentences) <= MAX_CLAIMS
    assert {id_.partition(".")[0] for id_ in sentences} == {f"{entry.number:02d}"}
    halves = {}
    for id_, (_, text, _) in sentences.items():
        words = text.split()
        begins_well = not text[0].islower() and words[0].lower().strip("`*,") not in NO_SUBJECTS
        if not begins_well or not text.endswith(".") or len(words) < 4:
            halves[id_] = text
    assert halves == {}


@every_lab
def test_two_sentences_are_not_the_same(entry: Entry) -> None:
    texts = [text for _, text, _ in lesson_of(entry.number).sentences.values()]
    assert len(texts) == len(set(texts))


def test_the_sizes_would_notice() -> None:
    tree = ast.parse(
        'def part(cfg, lab):\n    """Why?\n\n    So.\n    """\n    for x in y:\n        z = 1\n    return z\n'
    )
    (part,) = tree.body
    assert isinstance(part, ast.FunctionDef)
    assert (body_lines(part), statements(part)) == (4, 3)
    with pytest.raises(AssertionError):
        assert statements(part) <= 2
