"""What the tests of pages share: a run with everything in it, and a strict reader of HTML."""

from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from labs import record

VOID = {"br", "hr", "img", "input", "link", "meta", "col", "wbr"}
NASTY = '</script><script>alert(1)</script> "quoted" & <b onclick="x">'
SOLUTION = 'def second() -> str:\n    """Do that."""\n    return "the solution"\n'
PART = '''def asking(cfg: Config, lab: Lab) -> None:
    """What?"""
    lab.predict("01.held", "How many?", {}, answer="nine")
    lab.step(first)
'''
SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="504pt" viewBox="0 0 10 10" onload="alert(1)">
<metadata>about matplotlib</metadata><script>alert(1)</script>
<defs><clipPath id="p1"><rect width="9" height="9"/></clipPath><path id="m" d="M 0 0" style="stroke: #0072b2"/></defs>
<g id="title"><text>The title, a second time</text></g>
<g id="axes_1" clip-path="url(#p1)"><use xlink:href="#m" style="stroke: #000000" onclick="alert(1)"/><use href="https://elsewhere.invalid/x.svg#y"/>
<path d="M 0 0" style="fill: #ffffff"/><text style="font-size: 11px; font-family: 'DejaVu Sans'; text-anchor: middle">a &lt; b</text></g>
</svg>
"""


class Read(HTMLParser):
    """Reads a page as it stands and fails where it is not well-formed: every element is closed, in order, by its own tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open or "math" in self.open, f"<{tag}/> closes itself, which HTML does not know"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, attribute: str) -> list[str]:
        """Return every value that an attribute has."""
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def examine(text: str) -> Read:
    """Read a page and hold it against what every page keeps: it stands alone, has one title and landmarks, and can be heard."""
    page = Read(text)
    assert text.startswith("<!DOCTYPE html>\n")
    ids = page.all("id")
    assert len(ids) == len(set(ids)), "an id stands twice"
    for target in (*page.all("href"), *page.all("xlink:href")):
        assert not target.startswith("#") or target[1:] in ids, target
    named = [
        id_
        for attribute in ("aria-labelledby", "aria-describedby")
        for value in page.all(attribute)
        for id_ in value.split()
    ]
    assert set(named) <= set(ids)
    assert page.count("script") + page.count("link") + page.count("iframe") + page.count("img") == 0
    assert not [
        name
        for _, attributes in page.elements
        for name in attributes
        if name.startswith("on") or name == "src"
    ]
    assert "@import" not in text
    assert "url(" not in text.replace("url(#", "")
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    described = sum(tag == "svg" and "role" in attributes for tag, attributes in page.elements)
    assert [page.count("main"), page.count("header"), page.count("title") - described] == [1, 1, 1]
    assert all(
        {"role", "aria-labelledby", "viewbox"} <= set(attributes) or attributes.get("aria-hidden") == "true"
        for tag, attributes in page.elements
        if tag == "svg"
    )
    assert all(attributes.get("scope") for tag, attributes in page.elements if tag == "th")
    return page


@pytest.fixture
def examined() -> Callable[[str], Read]:
    return examine


@pytest.fixture
def run() -> record.Run:
    """A run with one of everything that a page shows, and text that would break a page that trusts it."""
    claims = [
        record.Claim(
            id="01.held",
            text=f"it *holds* `x` {NASTY}",
            kind="exact",
            verdict="held",
            shown="all 9 equal",
            bound=record.Bound(want=9),
        ),
        record.Claim(
            id="01.wrong",
            text="it fails",
            kind="count",
            verdict="failed",
            shown="3, exactly 2",
            bound=record.Bound(want=2),
            reason=NASTY,
        ),
        record.Claim(
            id="01.noisy",
            text="it is slow",
            kind="ratio",
            verdict="not measured here",
            reason="too noisy",
            bound=record.Bound(at_least=2),
            unit="×",
            because="a formula",
        ),
    ]
    things: list[record.Content] = [
        record.StepHere(name="first"),
        record.PredictionHere(id="01.held"),
        record.Table(title=NASTY, columns=["", "count"], rows=[[NASTY, "1"], ["b", "2,000"]]),
        record.Figure(
            title="A curve",
            path="figures/curve.svg",
            x_label="n",
            y_label="s",
            x=[1, 2],
            series={"near": [1, 2.5], NASTY: [3, 4]},
        ),
        record.Figure(
            title="The same again", path="figures/curve.svg", x_label="n", x=[1, 2], series={"near": [1, 2.5]}
        ),
        record.Diagram(
            title=NASTY, path="figures/curve.svg", description=f"described {NASTY}", text=["│ 0 │"]
        ),
        record.Picture(title="A lost picture", path="figures/lost.svg", columns=["c"], rows=["r"]),
        record.Diagram(title="A lost diagram", path="figures/lost.svg", description="d", text=["│ 1 │"]),
        record.Listing(title="Code", text=NASTY, language="no-such-language"),
        *[record.ClaimHere(id=claim.id) for claim in claims],
        record.Paragraph(text=f"so **much** for {NASTY}"),
    ]
    source = f'@exercise("a hint")\ndef first() -> str:\n    """Do it."""\n    return {NASTY!r}\n'
    steps = [
        record.Step(name="first", title=f"Do it {NASTY}", prose=NASTY, source=source, part=1, exercise="1.1", by="learner", calls=1),
        record.Step(name="helping", title="Help", prose="", source="def helping() -> int:\n    return 77\n", part=1, helper=True),
        record.Step(name="second", title="Do that", prose="", source=SOLUTION, part=2, exercise="1.2", calls=3, seconds=0.02),
    ]  # fmt: skip
    parts = [
        record.Part(
            number=1, name="asking", title=f"What? {NASTY}", prose=NASTY, source=PART, content=things
        ),
        record.Part(
            number=2, name="bare", title="Do that", needs="cuda", content=[record.StepHere(name="second")]
        ),
    ]
    guesses = [
        record.Guess(text=f"nine {NASTY}", why=f"**Yes.** {NASTY}"),
        record.Guess(text="ten", why="One too many."),
    ]
    asked = record.Prediction(
        id="01.held", question=f"How many? {NASTY}", guesses=guesses, answer=guesses[0].text, guessed="ten"
    )
    return record.Run(
        lab=1, title=f"Title {NASTY}", module="labs.m1_tensors.lab01", launcher="slurm", nodes=2, procs=2, status="failed", error=NASTY,
        smoke=True, started="2030-01-02T12:00:00+01:00", seconds=125, config={"batch_size": 8, "loud": False, "name": "a b"},
        sections={"Question": NASTY, "You will see": "- one\n- two\n  lines", "Sources": f"- {NASTY}",
                  "Builds on": "nothing", "Remember": "Nine."},
        claims=claims, parts=parts, steps=steps, predictions=[asked], opening=[record.Table(title="First", columns=["a"], rows=[["1"]])],
        exercises=[record.Exercise(id="1.1", step="first", judgement="failed", reason=NASTY)],
        ranks=[record.Rank(rank=rank, node=0, host="host", pid=1, device="cpu") for rank in range(2)],
        machine={"system": NASTY, "memory_bytes": 2**31, "gpus": []}, versions={"python": "3.11"}, git="abc-dirty",
    )  # fmt: skip


@pytest.fixture
def run_folder(run: record.Run, tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "runs" / "lab01" / "2030-01-02T12-00-00-slurm"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "curve.svg").write_text(SVG, encoding="utf-8")
    run.save(folder)
    return folder
