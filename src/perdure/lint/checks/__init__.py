"""The rules' other half: each module looks at one function and yields what it finds."""
