"""`python -m labs` is the `labs` command."""

from labs.commands.app import main

main()
