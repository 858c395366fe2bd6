"""Which family has which verb. Only the family whose verb was typed is imported, so that no command pays for the others."""

from importlib import import_module
from typing import Any

import typer
from typer import core
from typer.main import get_group

FAMILIES = {
    "read": ("list", "show", "notebooks"),
    "run": ("run",),
    "exercises": ("exercise", "check", "hint", "solution", "reset"),
    "runs": ("status", "logs", "cancel"),
    "report": ("report", "tensorboard"),
    "machine": ("doctor", "preflight"),
    "fetch": ("fetch",),
    "author": ("new", "mutants"),
}


class Verbs(core.TyperGroup):
    """The verbs of `labs`, in the order of the table above."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [verb for verbs in FAMILIES.values() for verb in verbs]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = cmd_name in self.list_commands(ctx)
        for family, verbs in FAMILIES.items():
            if cmd_name not in self.commands and (
                cmd_name in verbs or not known
            ):  # a slip may mean any of them
                self._load(family)
        return self.commands.get(cmd_name)

    def _load(self, family: str) -> None:
        alone = typer.Typer(rich_markup_mode=self.rich_markup_mode)
        alone.add_typer(import_module(f"labs.commands.{family}").app)
        self.commands.update(get_group(alone).commands)


def take_texts_as_typed() -> None:
    """Let texts and switches be taken as they come, by a way that typer has.

    Otherwise it imports half of pydantic to find out that a text is a text, which costs more than all else that a command does.
    With another typer than the pinned one, whose inside may differ, that is what happens.
    """
    inside: Any = core
    usual = getattr(inside, "build_runtime_param", None)
    as_it_comes = getattr(import_module(usual.__module__), "PassThroughRuntimeParam", None) if usual else None
    if usual is None or as_it_comes is None:
        return

    def runtime_param(descriptor: Any) -> Any:
        if descriptor.annotation in (str, bool) and not descriptor.parameter_info.parser:
            return as_it_comes(parameter_info=descriptor.parameter_info, annotation=descriptor.annotation)
        return usual(descriptor)

    inside.build_runtime_param = runtime_param
