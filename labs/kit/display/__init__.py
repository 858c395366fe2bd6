"""The lesson on the terminal."""
