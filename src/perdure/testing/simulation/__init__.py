"""The whole engine, worker and client on the memory store, in virtual time, with everything that can go wrong: one seed, one run.

    python -m perdure.testing.simulation --seed 7        one run, with its trace
    python -m perdure.testing.simulation --seeds 1000    many, on all cores
    python -m perdure.testing.simulation --forever       until you stop it

What lives where:

- `loop`: virtual time, machines that stand still. `weather`: what goes wrong, by the seed. `wire`: requests and answers
  that are slow, lost, late or doubled. `machine`: workers that crash, freeze, stop and begin again.
- `programs`, `interpreter`: random workflows. `driver`: the client. `oracle`: what each program may end with.
- `referee` watches each request with a memory of its own, `ledger` who runs which activity; `audit` and `history` look at
  everything when it has come to rest.
- `run` puts them together, `many` runs many seeds.

A run depends on its seed and the code alone: not on the machine, the hour, or PYTHONHASHSEED.
"""

from __future__ import annotations

from perdure.testing.simulation.run import Report, Simulation, simulate

__all__ = ["simulate", "Report", "Simulation"]
