"""The core knows no web framework: under FastAPI it gives the same JSON."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import examples.web
from examples.web.fastapi_twin import create
from mayar_reviews.testing import FakeMayar

from .conftest import KEY, PAGE, SETTINGS

HERE = Path(examples.web.__file__).parent


@pytest.mark.parametrize("module", ["cache", "changes", "shop", "structured", "visits"])
def test_the_core_imports_no_web_framework(module: str) -> None:
    """Nothing but the standard library, attrs, mayar_reviews and the core itself."""
    imported = set()
    for node in ast.walk(ast.parse((HERE / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(f".{node.module}" if node.level else str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names <= {
        *("attrs", "mayar_reviews", ".cache", ".changes", ".shop")
    }


def test_the_twin_is_small() -> None:
    """At most 60 lines."""
    assert len((HERE / "fastapi_twin.py").read_text("utf-8").splitlines()) <= 60


def test_fastapi_gives_the_same_reviews() -> None:
    """From the cache, and a failure as a 503."""
    with FakeMayar(KEY) as fake:
        fake.seed("kelas-web", 45)
        with TestClient(create(SETTINGS, api_key=KEY, base_url=fake.url)) as visitor:
            content = visitor.get(f"{PAGE}/reviews.json").json()
            assert [review["id"] for review in content["reviews"]] == list(fake.reviews)[:24:-1]
            assert content["stats"]["total"] == 45
            assert "customer" not in content["reviews"][0]
            visitor.get(f"{PAGE}/reviews.json")
            assert len(fake.requests) == 2
            assert visitor.get("/products/gadget/reviews.json").status_code == 404
            fake.fail_next(503, 100)
            assert visitor.get("/products/buku/reviews.json").status_code == 503
