"""What this machine does beside the project's targets. Each measurement is a command, and results are kept in bench/ (`results`).

`python -m scripts.bench` measures the labs, `-m scripts.bench.docker` the images, `-m scripts.bench.slurm` a Slurm cluster.
"""
