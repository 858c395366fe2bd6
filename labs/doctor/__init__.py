"""`labs doctor`: say what this machine has, and what each missing thing would allow."""

import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from labs.doctor import conditions, machine, packages, places
from labs.doctor.check import Check
from labs.doctor.programs import Programs
from labs.errors import UsageError
from labs.home import CHECKOUT, Home, chosen_root

REQUIRED = ("Python", "torch", "matplotlib", "disk")
SIGNS = {
    "ok": "[green]✔[/]",
    "missing": "[yellow]–[/]",
    "slow": "[yellow]…[/]",
    "broken": "[bold red]✘[/]",
    "noted": "[yellow]![/]",
}
WIDTH = 80  # columns of the narrowest terminal: what is well takes a line each, and all of it one screen


def report(as_json: bool) -> int:
    """Show all checks, as text or as `{checks: [{name, group, verdict, found, allows, get}], ready}`; return 0 where a lab can run."""
    checks = examine()
    blockers = [
        check for check in checks if check.name in REQUIRED and check.verdict in ("missing", "broken")
    ]
    if as_json:
        print(
            json.dumps(
                {"checks": [asdict(check) for check in checks], "ready": not blockers},
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        _show(checks, blockers)
    return 1 if blockers else 0


def examine() -> list[Check]:
    """Make all checks side by side and return them in the order in which they are shown, with what is noted of the environment."""
    programs = Programs()
    with ThreadPoolExecutor(max_workers=48) as pool:
        try:
            facts = pool.submit(packages.ask_child, programs)
            looks = [
                pool.submit(packages.python),
                *(pool.submit(packages.package, name, facts) for name in packages.PACKAGES),
                pool.submit(machine.processors),
                pool.submit(machine.gpu, programs, facts),
                *(pool.submit(look) for look in (machine.memory, machine.shared_memory)),
                pool.submit(_disk),
                pool.submit(places.compiler, programs),
                *(pool.submit(places.tool, programs, name) for name in places.TOOLS),
                *(pool.submit(places.engine, programs, name) for name in ("docker", "podman")),
                *(pool.submit(look, programs) for look in (places.slurm, places.kubernetes)),
                *(pool.submit(places.tool, programs, name) for name in places.SANDBOXES),
            ]
            noted = [pool.submit(look) for look in conditions.all_looks(programs)]
            return [look.result() for look in looks] + [found for one in noted if (found := one.result())]
        except KeyboardInterrupt:
            programs.stop()
            raise


def _disk() -> Check:
    try:
        return machine.disk(Home(chosen_root()))
    except UsageError as error:  # LABS_HOME leads nowhere
        found, _, get = str(error).partition("\n")
        return Check("disk", "Machine", "broken", found, "all labs", get)


def _show(checks: list[Check], blockers: list[Check]) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    width = max(len(check.name) for check in checks if check.verdict != "noted")
    for check in checks:
        console.print(f"{SIGNS[check.verdict]} {escape(_told(check, width))}")
    console.print(_last_line(blockers))


def _told(check: Check, width: int) -> str:
    """Return what is said of a check: of what is well as much as a line takes, since all of it is in the JSON."""
    if check.verdict == "ok":
        line = f"{check.name:<{width}}  {check.found}"
        return line if len(line) <= WIDTH - 2 else f"{line[: WIDTH - 3]}…"
    noted = check.verdict == "noted"
    whole = (
        f"{check.name}: {check.found}"
        if noted
        else f"{check.name:<{width}}  {check.found}; for {check.allows}: {check.get}"
    )
    indent = " " * (2 if noted else width + 4)
    return textwrap.fill(
        whole, WIDTH - 2, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _last_line(blockers: list[Check]) -> str:
    if blockers:
        what = ", ".join(f"{check.name} is {check.verdict}" for check in blockers)
        return f"[bold red]labs cannot run here:[/] {escape(what)} · next: {escape(blockers[0].get)}"
    command = "make lab-01" if (CHECKOUT / "Makefile").exists() else "labs run 1"
    return f"[bold green]labs can run here[/] · next: {command}"
