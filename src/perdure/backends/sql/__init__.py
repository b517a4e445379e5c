"""What the SQL stores share: statements, tables, inspection; what differs between databases is a `Dialect`."""
