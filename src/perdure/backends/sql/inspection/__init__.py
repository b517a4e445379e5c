"""What operators read, each by a short transaction on the reading connection."""
