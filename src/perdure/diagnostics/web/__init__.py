"""The pages of the web user interface: read models and actions as HTML, made on the server."""
