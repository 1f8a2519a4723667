"""The Sphinx settings of the documentation: `nox -s docs` builds it."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout, suppress
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mayar_reviews import __version__
from mayar_reviews.cli.app import _app
from mayar_reviews.testing.__main__ import main as serve_fake

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
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_show_copyright = False

_NOTHING = re.compile(r" \| [~\w.]*Literal\[[^]]*NOTHING\]")
_CONNECTION = re.compile(r"\*\*Connection\*\*:\n\n((?:\* .*\n(?: {4}.*\n)*)+)")


def _commands() -> dict[str, str]:
    """Return the help of each command as Markdown, without the options that all commands share.

    These stand under the name `connection`.
    """
    text = _app().generate_docs(output_format="markdown")
    helps = {}
    for name, help_text in re.findall(
        r"^## mayar-reviews ([\w-]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    ):
        if shared := _CONNECTION.search(help_text):
            helps["connection"] = shared[1]
        helps[name] = _CONNECTION.sub("", help_text)
    helps["testing"] = f"```text\n{_testing_help()}```\n"
    return helps


def _testing_help() -> str:
    """Return the help of the fake server's command."""
    help_text = io.StringIO()
    with redirect_stdout(help_text), suppress(SystemExit):
        serve_fake(["--help"])
    return help_text.getvalue()


class CommandHelp(SphinxDirective):
    """Show the help of a command of the command line, made from the code."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help."""
        lines = _commands()[self.arguments[0]].splitlines()
        # Smart quotes would make a dash of the two hyphens of an option.
        section = nodes.container(support_smartquotes=False)
        self.state.nested_parse(StringList(lines, "the command line"), 0, section)
        return [section]


def prepare(_: Sphinx, what: str, __: str, ___: Any, ____: Any, lines: list[str]) -> None:
    """Tell docutils and napoleon what our docstrings mean."""
    for i in range(len(lines) - 2):
        # An indented part after a colon is code.
        if lines[i].endswith(":") and not lines[i + 1].strip() and lines[i + 2].startswith("    "):
            lines[i] += ":"
    if what in ("attribute", "property", "data"):
        # Napoleon takes what stands before a colon for a type. An empty comment prevents it.
        lines[:0] = ["..", ""]
    elif "Returns:" in lines:
        at = lines.index("Returns:")
        lines[at : at + 2] = [f":returns: {lines[at + 1].strip()}"]


def shorten(
    _: Sphinx, __: str, ___: str, ____: Any, _____: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Show an argument that can be left out as `...`."""
    if signature is not None:
        signature = _NOTHING.sub("", signature).replace("= NOTHING", "= ...")
    return signature, returned


def setup(app: Sphinx) -> None:
    """Add what the pages need."""
    app.add_directive("command", CommandHelp)
    # Before napoleon, which has the usual priority 500.
    app.connect("autodoc-process-docstring", prepare, priority=400)
    app.connect("autodoc-process-signature", shorten)
