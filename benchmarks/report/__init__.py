"""What is made of the runs: medians and ratios, a table, JSON, a plot."""
