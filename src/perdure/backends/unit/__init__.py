"""The unit of work between rules and tables: rows in memory, each read once and written once for a batch."""
