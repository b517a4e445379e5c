"""The engine: (history, new events, now) -> checkpoint. Synchronous, without clock, threads or I/O.

It runs workflow code on a loop of its own and never sees a store.
"""
