"""A headless Chromium, driven over a pipe by the protocol of its developer tools: no server, no driver program, no library."""

import fcntl
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from tempfile import gettempdir
from time import monotonic
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-liberation")
LOCK = Path(gettempdir()) / "labs-chromium.lock"
LIMIT_S = 60  # for one answer; it guards against a browser that hangs
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip


class Unavailable(Exception):
    """There is no Chromium here, and none may be installed."""


def find() -> str:
    """Return the browser's program; on CI, where root runs the tests, install it from Debian's packages. Raises Unavailable."""
    with LOCK.open("w") as lock:  # of several workers one installs, and the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _found()
        if found is None and os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get"):
            _install()
            found = _found()
    if found is None:
        raise Unavailable("no Chromium here: apt-get install chromium")
    return found


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _install() -> None:
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update", "-qq"), ("install", "-qq", "--yes", "--no-install-recommends", *PACKAGES)):
        subprocess.run(["apt-get", *words], env=environ, check=True, stdout=subprocess.DEVNULL, timeout=240)


class Browser:
    """One page, which is sent from address to address."""

    def __init__(self, profile: Path) -> None:
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        start = f'exec "$@" 3<&{reads} 4>&{writes}'
        command = ["bash", "-c", start, "bash", find(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._unread, self._number, self._session = b"", 0, ""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.call("Page.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(LIMIT_S)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something and return the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._until(lambda found: found.get("id") == self._number, method)

    def open(self, page: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Show a file, in a window of a width, to somebody who likes it light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=page.absolute().as_uri())
        self._until(lambda found: found.get("method") == "Page.loadEventFired", "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript is on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"].get("exception", {}).get("description", answer))
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        name = "Space" if key == " " else key
        for kind in ("keyDown", "keyUp"):
            pressed = {"type": kind, "key": key, "code": name, "windowsVirtualKeyCode": code}
            self.call(
                "Input.dispatchKeyEvent", **pressed, **({"text": text} if text and kind == "keyDown" else {})
            )

    def _until(self, wanted: Any, what: str) -> dict[str, Any]:
        end = monotonic() + LIMIT_S
        while True:
            while b"\0" not in self._unread:
                if not select.select([self._from], [], [], max(end - monotonic(), 0))[0]:
                    raise TimeoutError(f"the browser did not answer {what} within {LIMIT_S} s")
                read = os.read(self._from, 2**16)
                if not read:
                    raise ConnectionError(
                        f"the browser ended with status {self._process.poll()} before it answered {what}"
                    )
                self._unread += read
            line, _, self._unread = self._unread.partition(b"\0")
            found = json.loads(line)
            if wanted(found):
                if "error" in found:
                    raise AssertionError(f"{what}: {found['error']}")
                return dict(found.get("result", {}))
