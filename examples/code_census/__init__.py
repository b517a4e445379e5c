"""A census of Python code: every file of a source tree is parsed and counted, and no crash makes it start again.

    python -m examples.code_census                the standard library of this Python
    python -m examples.code_census ~/src/thing    any other folder
    python -m examples.code_census pause          hold it, from another terminal; `resume` lets it go on

Kill it at any moment and run the same command again: it goes on where it was.
"""
