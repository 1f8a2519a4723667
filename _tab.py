import tempfile
from pathlib import Path
from benchmarks.scale import table
from tests.support.processes import Redis
with tempfile.TemporaryDirectory() as d, Redis(Path(d)) as r: table(r)
