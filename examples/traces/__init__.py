"""One trace over three processes: see __main__.py."""
