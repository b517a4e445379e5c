"""How fast perdure is: `python -m benchmarks --help`.

- A case (`cases/`) runs workflows on a store and returns figures; another function of it says what must stand in the store
  then. `registry.py` lists the cases, with the targets that their figures are held against.
- Each run is a process of its own (`one_run.py`). Afterwards a fresh process opens the store and checks count, results and
  events. A store in memory can't be opened by another process: there the run checks by itself, at its end.
- Peers (`peers/`) do the same work with other libraries. Within each round all contestants run in turn, so that noise of
  the machine hits all alike; medians of the rounds are compared.
"""
