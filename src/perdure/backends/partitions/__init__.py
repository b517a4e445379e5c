"""A store in several partitions, each with a writer of its own, seen as one: what goes where, and what goes everywhere."""
