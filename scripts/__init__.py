"""What builds, tests and measures the project: each command is a module, run as `python -m scripts.NAME`."""
