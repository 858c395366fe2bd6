"""Make .venv; with `tools`, add the project's own; with `lock`, resolve constraints.txt anew. scripts/setup.py hands over to this."""

import sys

from scripts.environment import lock, steps

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["lock"]:
            sys.exit(lock.main())
        case words:
            sys.exit(steps.main(tools=words == ["tools"]))
