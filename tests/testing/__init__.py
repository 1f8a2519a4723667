"""The server that users test against is itself tested against the documentation."""
