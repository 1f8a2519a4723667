"""The state file: what is understood, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews.export import export_reviews
from tests.support.export_shop import interrupt, journal_of, refusal, shop, state_of


@pytest.mark.parametrize(
    ("product", "options", "said"),
    [
        ("kelas-web", {"rating": 5}, "of every rating, not of rating 5"),
        ("kelas-dua", {}, "of payment_link_id kelas-web, not of payment_link_id kelas-dua"),
        (None, {}, "of payment_link_id kelas-web, not of the whole store"),
        ("kelas-web", {"format": "csv"}, "of format jsonl, not of format csv"),
    ],
)
async def test_the_state_of_another_export_is_refused(
    tmp_path: Path, product: str | None, options: dict[str, Any], said: str
) -> None:
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out")
        before = journal_of(tmp_path / "out").read_bytes()
        message = await refusal(client, fake, product, tmp_path / "out", resume=True, **options)
    assert message.startswith("resume is not possible: ")
    assert said in message
    assert journal_of(tmp_path / "out").read_bytes() == before


async def test_the_state_of_another_status_is_refused(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        await export_reviews(client, None, tmp_path / "out", status="ACTIVE")
        message = await refusal(client, fake, None, tmp_path / "out", resume=True)
    assert "of status ACTIVE, not of every status" in message


@pytest.mark.parametrize("text", ["", "\0\0\0", "[]", "{}", "[" * 100_000, '{"version": 1}'])
@pytest.mark.parametrize("options", [{"resume": True}, {"update": True}, {"force": True}, {}])
async def test_a_file_that_is_not_a_state_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any]
) -> None:
    """It is somebody else's: nothing overwrites it."""
    (tmp_path / "out.state.json").write_text(text)
    async with shop(3) as (fake, client):
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", **options)
    assert "out.state.json is not the state of an export" in message
    assert "move it away" in message
    assert (tmp_path / "out.state.json").read_text() == text


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
async def test_the_state_of_another_release_is_refused(tmp_path: Path, version: object) -> None:
    """It is not guessed at. `force` starts again."""
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        changed = state_of(tmp_path / "out") | {"version": version}
        (tmp_path / "out.state.json").write_text(json.dumps(changed))
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", resume=True)
        assert "has another version than 2" in message
        assert message.endswith("start again with force")
        await export_reviews(client, "kelas-web", tmp_path / "out", force=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"offset": -5},
        {"cursor": 5},
        {"fetched": "no"},
        {"ratings": {"5": "many"}},
        {"active": {"5": None}},
        {"written": 1.5},
        {"total": "many"},
        {"gaps": [[1, "2"]]},
        {"gaps": [1]},
        {"owners": [1]},
        {"output": 5},
        {"newest_updated": None},
        {"unknown": 1},
    ],
)
async def test_a_state_with_a_field_of_a_wrong_type_is_refused(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        changed = state_of(tmp_path / "out") | fields
        (tmp_path / "out.state.json").write_text(json.dumps(changed))
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", resume=True)
    assert "out.state.json is damaged; start again with force" in message
