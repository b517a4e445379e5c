"""Testing workflows in milliseconds: `WorkflowTester`."""
