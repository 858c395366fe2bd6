"""A real Slurm cluster on one machine: every host a set of namespaces, with the daemons and the files of a production cluster."""
