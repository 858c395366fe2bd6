"""Runs as pages: one run reads as a chapter, `report.html` in its folder; all runs of a person stand on one page, the index.

Made from `run.json` alone and without torch, so that a login node can make them. Everything that a person or a program wrote is
escaped by the templates; a page needs no script and no file beside it.
"""
