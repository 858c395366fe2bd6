"""The `labs` command, a file for each family of verbs."""
