"""A starter and any number of worker processes on one store, on one machine or many.

`python -m examples.scale --workers 4 --workflows 2000` runs both on a SQLite file of its own; `--help` tells the options.
"""
