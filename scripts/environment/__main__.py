"""Make .venv, or with `lock` resolve the versions in constraints.txt anew. scripts/setup.py hands over to this."""

import sys

from scripts.environment import lock, steps

if __name__ == "__main__":
    sys.exit(lock.main() if sys.argv[1:] == ["lock"] else steps.main())
