"""The JSON API: what the pages show and do, for programs, with its OpenAPI description."""
