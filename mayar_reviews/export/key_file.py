"""A file that holds the API key, for commands and workers that run unattended."""

from __future__ import annotations

import os
from pathlib import Path


def read_key_file(path: str | os.PathLike[str]) -> str:
    """Return the key in a file, without the space and the byte-order mark around it.

    Raises:
        OSError: the file cannot be read.
    """
    # Bytes that are not UTF-8 are replaced: the client then refuses the key in plain words.
    return Path(path).read_text(encoding="utf-8-sig", errors="replace").strip()
