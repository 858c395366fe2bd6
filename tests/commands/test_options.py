"""Arguments and options that several commands share."""

import inspect
from dataclasses import fields

from labs import catalog, launch
from labs.commands.options import NOTHING, complete_lab, with_request


def test_a_shell_is_offered_the_labs_that_are_there() -> None:
    written = [str(number) for number, entry in catalog.all_labs().items() if entry.ready]
    assert complete_lab("") == written
    assert complete_lab("4") == [number for number in written if number.startswith("4")]


def test_every_wish_is_an_option_and_all_come_as_one_request() -> None:
    asked: list[launch.Request] = []

    @with_request
    def command(lab: str, request: launch.Request = NOTHING) -> None:
        asked.append(request)

    wishes = [wish.name for wish in fields(launch.Request)]
    assert list(inspect.signature(command).parameters) == ["lab", *wishes]
    command(lab="1", **{name: f"my {name}" for name in wishes})
    assert asked == [launch.Request(**{name: f"my {name}" for name in wishes})]
