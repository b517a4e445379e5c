"""Activities: the steps that touch the world. Their definitions, and what a running one can ask."""
