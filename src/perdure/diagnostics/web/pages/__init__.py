"""What is shown at which address: each function reads what a page needs and hands it to a template."""
