"""How fast perdure is: `python -m benchmarks --help`.

Each case runs in a process of its own; afterwards a fresh process opens the store and checks that what was counted is there.
"""
