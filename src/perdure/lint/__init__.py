"""The linter: finds what workflow code must not do, in workflows and in the functions of their project that they call."""
