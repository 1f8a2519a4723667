"""Bulk export: all reviews of one product, of many products or of the whole store, into files.

```python
async with ReviewsClient() as client:
    report = await export_reviews(client, "kelas-web", "reviews.csv", format="csv", update=True)
```

The same call serves for the first run and for every later one. An export may be killed at any
byte: run again, it makes the same file, byte for byte, as one that was never interrupted. These
files lie side by side, and only their owner can read them:

- `<output>`: the result. It appears whole or not at all. Until then the old one stays.
- `<output>.partial.jsonl`: the journal. Each page goes there first. It is removed when the result
  is there.
- `<output>.state.json`: how far the export has come, and the size and hash of the result. It
  stays. It does not hold the API key.
- `<output>.reviews.jsonl.gz`: the reviews as the API sent them. An update needs them; in JSONL the
  result itself has them.
- `<output>.products`: with `merge=True`, a directory with a file for each product.
- `.<output>.mayar-reviews-lock` and `-tmp`, while an export runs.

A journal may hold a review twice, when it was edited meanwhile. The result holds each review once,
in its newest form, in the order of a fresh export.

A review that is not as the API documents it is written all the same, and the report names it. One
without an id is told apart by its text, so an update after it was edited has both forms. Only one
that is nested about a thousand levels deep cannot be written: it stops the export.

`mayar_reviews.export.formats` documents the columns of each format, and `ExportReport` what was
done. Reviews that the server cannot show are named in `.gaps`.
"""

from .job import export_reviews
from .report import ExportProgress, ExportReport, FileReport

__all__ = ["ExportProgress", "ExportReport", "FileReport", "export_reviews"]
