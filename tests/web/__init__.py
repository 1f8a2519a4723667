"""Tests of `examples.web`."""
