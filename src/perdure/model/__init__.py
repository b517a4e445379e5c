"""Frozen data that every layer speaks of: instances, events, tasks, transitions. No I/O, no asyncio."""
