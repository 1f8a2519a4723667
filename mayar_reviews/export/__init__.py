"""Bulk export: every review of one product, of many, or of the store, into files.

```python
async with ReviewsClient() as client:
    report = await export_reviews(client, "kelas-web", "reviews.csv", format="csv", resume=True)
```

An export can be killed at any byte and made again with `resume=True`: the file that comes out
is the same, byte for byte, as if nothing had happened. Three files take part, side by side:

- `<output>`: the result. In the formats other than JSONL it appears whole or not at all.
- `<output>.partial.jsonl`: the journal, to which each page goes first; it is removed once the
  result is there. In JSONL the result is its own journal.
- `<output>.state.json`: where the export stands. It stays, so that a finished export is known
  to be finished; it holds no key.

The columns of each format are described in `mayar_reviews.export.formats`.
"""

from .job import export_reviews
from .report import ExportProgress, ExportReport, FileReport

__all__ = ["ExportProgress", "ExportReport", "FileReport", "export_reviews"]
