"""What a workflow test is worth when workers crash: `crash_anywhere`, `shuffle_deliveries`, and pytest's marks for both.

A test is run again and again, each time with another `Trouble` (trouble.py). A `Hunt` (hunt.py) decides which, looks at each
`Run` and gathers what was found; a `TroubledTester` (tester.py) is a `WorkflowTester` whose worker has that trouble.
"""
