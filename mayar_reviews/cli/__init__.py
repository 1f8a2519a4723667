"""The command line.

`app` names the commands and turns their errors into exit codes. `exports`, `reviews`, `watch` and
`doctor` are the commands. `evidence` judges a list for the doctor, and `diagnosis` words what was
found. `connection` opens the client, `signals` runs the event loop. `options` reads values.
`report_json` is the report of `export --json`.
`show` writes text and JSON, `tables` draws reviews, `meter` draws progress.
"""

from .app import run

__all__ = ["run"]
