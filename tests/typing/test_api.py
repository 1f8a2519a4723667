"""`api.py` uses whatever is public, so that the type checkers read all of it."""

from __future__ import annotations

import ast
from pathlib import Path

import mayar_reviews
from mayar_reviews import MayarError
from tests.support.calls import ARGUMENTS, NOT_CALLS, parameters

TREE = ast.parse(Path(__file__).with_name("api.py").read_text())


def test_every_method_is_used_with_every_argument() -> None:
    """A new method, or a new argument, has to be added to `api.py`."""
    used: dict[str, set[str]] = {}
    positional: dict[str, int] = {}
    for node in ast.walk(TREE):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            used.setdefault(name, set()).update(word.arg for word in node.keywords if word.arg)
            positional[name] = max(positional.get(name, 0), len(node.args))
    for method in (set(ARGUMENTS) | NOT_CALLS) - {"aclose"}:
        names = list(parameters(method))
        missing = set(names[positional.get(method, 0) :]) - used.get(method, set())
        assert method in used, method
        assert not missing, (method, missing)


def test_every_public_name_is_used() -> None:
    """But for the exceptions without attributes of their own, and the version."""
    names = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name)}
    public = {
        name
        for name in mayar_reviews.__all__
        if not name.startswith("__") and not _is_plain_error(getattr(mayar_reviews, name))
    }
    assert public <= names, public - names


def _is_plain_error(value: object) -> bool:
    """Whether it is an exception that takes no more than its base does."""
    return (
        isinstance(value, type)
        and issubclass(value, MayarError)
        and "__init__" not in vars(value)
        and not vars(value).get("__annotations__")
    )
