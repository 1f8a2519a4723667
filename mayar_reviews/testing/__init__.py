"""A fake Mayar, for the tests of programs that use mayar_reviews.

`FakeMayar` imports nothing of the client. What the two agree on, they agree on because the
documentation says so.
"""

from .server import FakeMayar, RecordedRequest

__all__ = ["FakeMayar", "RecordedRequest"]
