"""What is timed: a file for each case, with its workflows, its `run` and its `verify`."""
