"""The user's own transaction: what is written through a connection of theirs, and commits or vanishes with what they write."""
