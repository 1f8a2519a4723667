"""The command line, a thin skin over the package's public names.

`app` holds the commands and what their ends mean, `reviews` and `jobs` do the work, `connection`
opens the client and drives the event loop, `options` reads values, `show` writes.
"""

from .app import run

__all__ = ["run"]
