"""Lets torchvision import beside a CPU torch (`_torchvision_cpu`, installed into .venv by `install`)."""
