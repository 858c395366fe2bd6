"""Flags from a Config's fields."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from labs.errors import UsageError
from labs.flags import in_one_line
from labs.kit.runner import config


@dataclass(frozen=True)
class Config:
    """One field of each type."""

    rows: int = 8  # rows M
    step_size: float = 0.5  # how far
    word: str = "quiet"  # what to say
    loud: bool = False  # whether to shout
    bare: int = 3

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows={self.rows} is not possible; give 1 or more")

    @classmethod
    def smoke(cls) -> "Config":
        return cls(rows=2)


@dataclass(frozen=True)
class Listed:
    """A field that no flag can carry."""

    rows: list[int] = field(default_factory=list)


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(config.parser_of(Config, "text").parse_args(arguments))


def test_a_field_is_a_flag_with_its_type_default_and_comment() -> None:
    assert config.flags_of(Config) == [
        ("rows", int, 8, "rows M"),
        ("step_size", float, 0.5, "how far"),
        ("word", str, "quiet", "what to say"),
        ("loud", bool, False, "whether to shout"),
        ("bare", int, 3, ""),
    ]


def test_a_field_that_no_flag_can_carry_is_a_mistake_of_the_lab() -> None:
    with pytest.raises(TypeError, match=r"Listed.rows is list\[int\]; a flag is an int, float, str or bool"):
        config.flags_of(Listed)


def test_what_is_not_said_is_not_chosen() -> None:
    assert parsed() == {"smoke": False}


@pytest.mark.parametrize(
    ("argument", "chosen"),
    [
        ("--rows=4", {"rows": 4}),
        ("--rows=-4", {"rows": -4}),
        ("--step-size=1e-3", {"step_size": 1e-3}),
        ("--word=", {"word": ""}),
        ("--word=a=b", {"word": "a=b"}),
        ("--loud", {"loud": True}),
        ("--no-loud", {"loud": False}),
    ],
)
def test_a_flag_has_the_type_of_its_field(argument: str, chosen: dict[str, Any]) -> None:
    assert parsed(argument) == {"smoke": False, **chosen}


@pytest.mark.parametrize(
    "argument",
    [
        "--rows=x",
        "--rows=1.5",
        "--rows=",
        "--step-size=fast",
        "--colour=red",
        "--loud=yes",
        "--row=4",
        "more",
    ],
)
def test_a_bad_flag_gets_two_lines_with_the_valid_ones(argument: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(argument)
    first, second = str(caught.value).splitlines()
    assert argument.lstrip("-").partition("=")[0] in first
    assert second == f"valid flags, with their defaults: {in_one_line(config.flags_of(Config))}"
    assert all(flag in second for flag in ("--smoke", "--rows=8", "--step-size=0.5", "--word=", "--bare=3"))


def test_the_line_of_valid_flags_can_be_typed() -> None:
    assert parsed(*in_one_line(config.flags_of(Config)).split()) == {
        "smoke": True,
        "rows": 8,
        "step_size": 0.5,
        "word": "quiet",
        "loud": False,
        "bare": 3,
    }


def test_help_has_the_comments_and_the_defaults() -> None:
    text = config.parser_of(Config, "what it asks").format_help()
    assert "what it asks" in text
    for flag in config.flags_of(Config):
        assert f"{flag.help} (default {flag.default})" in text


def test_smoke_values_come_from_the_lab_and_flags_win_over_them() -> None:
    assert config.build(Config, False, {}) == Config()
    assert config.build(Config, True, {}) == Config(rows=2)
    assert config.build(Config, True, {"rows": 5, "word": "x"}) == Config(rows=5, word="x")


def test_what_the_config_itself_refuses_is_bad_usage() -> None:
    with pytest.raises(
        UsageError, match=r"rows=0 is not possible; give 1 or more\nvalid flags, with their defaults: --smoke"
    ):
        config.build(Config, False, {"rows": 0})
