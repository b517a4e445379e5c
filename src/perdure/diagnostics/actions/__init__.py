"""What operators can do from the web pages, the JSON API and the MCP server: a table of actions, and the desk that carries them out."""
