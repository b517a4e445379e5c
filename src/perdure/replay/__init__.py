"""Histories and today's code: whether they fit, where they part, and what happened step by step."""
