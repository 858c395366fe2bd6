"""`labs doctor`: say what this machine has, and what each missing thing would allow."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.markup import escape

from labs.doctor import machine, packages, places
from labs.doctor.check import Check
from labs.doctor.programs import Programs
from labs.home import CHECKOUT, Home

REQUIRED = ("Python", "torch", "matplotlib", "disk")
SIGNS = {"ok": "[green]✔[/]", "missing": "[yellow]–[/]", "broken": "[bold red]✘[/]"}


def report(as_json: bool) -> int:
    """Show all checks, as text or as `{checks: [{name, group, verdict, found, allows, get}], ready}`; return 0 where a lab can run."""
    checks = examine()
    blockers = [check for check in checks if check.name in REQUIRED and check.verdict != "ok"]
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
    """Make all checks side by side and return them in the order in which they are shown."""
    programs = Programs()
    with ThreadPoolExecutor(max_workers=32) as pool:
        try:
            facts = pool.submit(packages.ask_child, programs)
            looks = [
                pool.submit(packages.python),
                *(pool.submit(packages.package, name, facts) for name in packages.PACKAGES),
                pool.submit(machine.processors),
                pool.submit(machine.gpu, programs, facts),
                *(pool.submit(look) for look in (machine.memory, machine.shared_memory)),
                pool.submit(machine.disk, Home.from_environment()),
                pool.submit(places.compiler, programs),
                *(pool.submit(places.tool, programs, name) for name in places.TOOLS),
                *(pool.submit(places.engine, programs, name) for name in ("docker", "podman")),
                *(pool.submit(look, programs) for look in (places.slurm, places.kubernetes)),
                *(pool.submit(places.tool, programs, name) for name in places.SANDBOXES),
            ]
            return [look.result() for look in looks]
        except KeyboardInterrupt:
            programs.stop()
            raise


def _show(checks: list[Check], blockers: list[Check]) -> None:
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    width = max(len(check.name) for check in checks)
    for group, members in groupby(checks, key=lambda check: check.group):
        console.print(f"\n[bold]{group}[/]")
        for check in members:
            console.print(f"  {SIGNS[check.verdict]} {check.name:<{width}}  {escape(check.found)}")
            if check.verdict != "ok":
                console.print(f"    {'':<{width}}  [dim]for {escape(check.allows)}: {escape(check.get)}[/]")
    console.print(_last_line(blockers))


def _last_line(blockers: list[Check]) -> str:
    if blockers:
        what = ", ".join(f"{check.name} is {check.verdict}" for check in blockers)
        return f"\n[bold red]labs cannot run here:[/] {escape(what)} · next: {escape(blockers[0].get)}"
    command = "make lab-01" if (CHECKOUT / "Makefile").exists() else "labs run 1"
    return f"\n[bold green]labs can run here[/] · next: {command}"
