"""Runs a lab: its steps, claims, exercises and mutants."""
