"""What stores behind a network share: threads that keep a connection, notices between processes, the store's time."""
