"""What tests of a program that uses mayar_reviews lean on: a Mayar of their own.

`FakeMayar` imports nothing of the client. What the two agree on, they agree on because the
documentation says so.
"""

from .server import FakeMayar, RecordedRequest

__all__ = ["FakeMayar", "RecordedRequest"]
