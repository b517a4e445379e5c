"""The MCP server: agents look at a store, and act on it where they may. Needs the extra `perdure[mcp]`."""
