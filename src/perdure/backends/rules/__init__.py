"""What each transition does to the rows: rules over a Unit, which owns no connection of its own.

They say the same as those of the memory store, which is the reference; the conformance suite holds both to it. A rule
checks everything that can refuse a transition before it changes the first row.
"""
