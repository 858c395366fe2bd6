"""One host: switched on, switched off without a warning, and commands on it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.hosts.stage import Stage, pids_with
from scripts.slurm_cluster.commands import ClusterError, run, start_detached
from scripts.slurm_cluster.host import kill_and_wait

SCRIPT = Path(__file__).with_name("host.sh")


@dataclass(frozen=True)
class Host:
    """A host by its name and its address on the stage."""

    stage: Stage
    name: str
    address: str

    @property
    def folder(self) -> Path:
        return self.stage.folder / "hosts" / self.name

    @property
    def leader(self) -> int:
        """Return the pid, as the machine counts, of its systemd. Raises ClusterError where the host is off."""
        children = [child.pid for pid in self._nspawn_pids() for child in psutil.Process(pid).children()]
        if not children:
            raise ClusterError(f"{self.name} is switched off")
        return children[0]

    def switch_on(self, tree: Path, key: Path, binds: Sequence[str]) -> None:
        """Let it boot; its disk is as it was when it was switched off, or bare."""
        for part in ("disk", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        address = f"{self.address}/{self.stage.prefix}"
        script = [
            "bash",
            str(SCRIPT),
            str(tree),
            str(self.folder),
            address,
            str(key),
            f"{self.stage.group}/{self.name}",
        ]
        start_detached(self.stage.enter([*script, *binds], "--pid", "--mount"), self.folder / "console.log")

    def kill(self) -> None:
        """Switch it off as a power cut does: all that runs on it is gone, and nobody is told."""
        for pid in self._nspawn_pids():
            children = psutil.Process(pid).children()
            kill_and_wait(pid)
            for child in children:
                kill_and_wait(child.pid)

    def answers(self) -> bool:
        """Tell whether somebody could log in: sshd says so before the system lets anybody in."""
        probe = ["bash", "-c", f"read -r -t 5 line < /dev/tcp/{self.address}/22 && [[ $line == SSH* ]]"]
        reached = subprocess.run(self.stage.enter(probe), capture_output=True, check=False).returncode == 0
        return reached and self.run("test", "-e", "/run/nologin").returncode != 0

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on this host, as root."""
        return ["nsenter", "--target", str(self.leader), "--all", "--root", "--wd", "--", *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this host, as root, to its end."""
        return subprocess.run(
            self.command(command), text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )

    def ask(self, *command: str) -> str:
        """Run a command on this host for its output. Raises ClusterError where it fails."""
        return run(self.command(command), what=f"{command[0]} on {self.name}")

    def public_key(self) -> str:
        """Return the key by which those who log in know it."""
        return (self.folder / "disk" / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text().strip()

    def last_words(self) -> str:
        """Return the last line of its console."""
        lines = (self.folder / "console.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _nspawn_pids(self) -> list[int]:
        return pids_with("--directory", str(self.folder / "root"))
