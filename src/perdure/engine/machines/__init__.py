"""One file per command: what is recorded when code issues it, and what each thing that can happen to it does.

Each is a table of (state, input) -> (state, action). A missing row means that history and code don't fit.
"""
