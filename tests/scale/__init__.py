"""More than one process: the shared budget, over a real Redis and a server of its own."""
