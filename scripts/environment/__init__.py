"""How .venv is made: which torch (`torch_source`), through pip (`pip`), step by step (`steps`), with calm progress (`screen`)."""
