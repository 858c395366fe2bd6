"""PyTorch Deep Dive: 50 labs, each of which proves what it says on your own machine."""

import signal
import sys

# Ctrl-C while torch is being imported raises in the middle of somebody's module: swallowed there, or an import left in halves.
# So our own commands (`labs`, `python -m labs.…`) simply end on it, until they have imported what they need and can answer it.
if sys.argv and (sys.argv[0] == "-m" or sys.argv[0].rpartition("/")[2] == "labs"):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
