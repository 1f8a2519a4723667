"""Print a release's section of CHANGELOG.md: `python .ci/notes.py v0.1.0`.

It fails unless the tag names the version of mayar_reviews/version.py, and CHANGELOG.md has that
version with a date. The release workflow runs it before it builds anything.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]


def read_version(text: str) -> str:
    """Return the version that version.py sets."""
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit("mayar_reviews/version.py sets no __version__")
    return match[1]


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the section of a version, without its heading.

    Raises:
        SystemExit: the tag, the version and the changelog do not agree.
    """
    if tag != f"v{version}":
        raise SystemExit(f"The tag is {tag}, but mayar_reviews/version.py says {version}")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - (\S+)\n(.*?)(?=^## \[|\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if section is None:
        raise SystemExit(f"CHANGELOG.md has no line '## [{version}] - YYYY-MM-DD'")
    try:
        date.fromisoformat(section[1])
    except ValueError:
        raise SystemExit(f"CHANGELOG.md: {section[1]} is not a date") from None
    if not section[2].strip():
        raise SystemExit(f"CHANGELOG.md says nothing about {version}")
    return f"{section[2].strip()}\n"


if __name__ == "__main__":
    sys.stdout.write(
        release_notes(
            sys.argv[1],
            read_version((ROOT / "mayar_reviews/version.py").read_text(encoding="utf-8")),
            (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        )
    )
