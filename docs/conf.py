"""The Sphinx settings of the documentation: `nox -s docs` builds it."""  # noqa: INP001

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mayar_reviews import __version__
from mayar_reviews.cli.app import _app

project = "mayar-reviews"
author = "The mayar-reviews authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
default_role = "code"  # the docstrings write names as `name`

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 88
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"mayar-reviews {version}"
html_extra_path = ["llms.txt"]

_CONNECTION = re.compile(r"\*\*Connection\*\*:\n\n((?:\* .*\n(?: {4}.*\n)*)+)")


def _commands() -> dict[str, str]:
    """Return the help of each command as Markdown, without the options that all commands share.

    These stand under the name `connection`.
    """
    text = _app().generate_docs(output_format="markdown", generate_toc=False)
    helps = {}
    for name, help_text in re.findall(
        r"^## mayar-reviews ([\w-]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    ):
        if shared := _CONNECTION.search(help_text):
            helps["connection"] = shared[1]
        helps[name] = _CONNECTION.sub("", help_text)
    return helps


class CommandHelp(SphinxDirective):
    """Show the help of a command of the command line, made from the code."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help."""
        lines = _commands()[self.arguments[0]].splitlines()
        section = nodes.container()
        self.state.nested_parse(StringList(lines, "the command line"), 0, section)
        return [section]


def mark_code(_: Sphinx, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    """Tell docutils that an indented part after a colon is code, as it is in our docstrings."""
    for i in range(len(lines) - 2):
        if lines[i].endswith(":") and not lines[i + 1].strip() and lines[i + 2].startswith("    "):
            lines[i] += ":"


def setup(app: Sphinx) -> None:
    """Add what the pages need."""
    app.add_directive("command", CommandHelp)
    # Before napoleon, which has the usual priority 500.
    app.connect("autodoc-process-docstring", mark_code, priority=400)
