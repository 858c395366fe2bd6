#!/usr/bin/python
"""Says whether a daemon runs with files that are newer than it is, so that it is to be started anew. Changes nothing.

A handler alone would forget: a run that is cut off between the writing of a file and the restart leaves a daemon with the old
one, and the next run finds the file as it wants it.
"""

from __future__ import annotations

import os
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: stale_unit
short_description: Says whether a daemon is older than the files that it read
description:
  - Names the files that were changed since a systemd unit was started. Restart it where there are any.
options:
  unit:
    description: The unit's name.
    type: str
    required: true
  files:
    description: The files that it reads when it starts. Those that are not there are left out.
    type: list
    elements: str
    required: true
author: PyTorch Deep Dive labs
"""
EXAMPLES = """
- name: See whether munge has an old key
  stale_unit:
    unit: munge
    files: [/etc/munge/munge.key]
  register: munge_stale
"""
RETURN = """
newer:
  description: The files that are newer than the daemon.
  type: list
  returned: always
"""


def started(unit: str) -> float | None:
    """Return when the unit's process was started, in seconds since 1970, or None where it does not run."""
    command = ["systemctl", "show", unit, "--property=ActiveState,ExecMainStartTimestampMonotonic"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    values = dict(line.partition("=")[::2] for line in done.stdout.decode().splitlines())
    if values.get("ActiveState") not in ("active", "activating", "reloading"):
        return None
    since_boot = int(values.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    return time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + since_boot


def newer(files: list[str], moment: float) -> list[str]:
    """Return those of the files that were changed after that moment. Renamed or handed to another owner counts as changed."""
    return [path for path in files if os.path.exists(path) and os.stat(path).st_ctime > moment]


def main() -> None:
    options = {"unit": {"required": True}, "files": {"type": "list", "elements": "str", "required": True}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    moment = started(module.params["unit"])
    files = [] if moment is None else newer(module.params["files"], moment)
    module.exit_json(changed=False, newer=files)


if __name__ == "__main__":
    main()
