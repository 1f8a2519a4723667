"""`python -m mayar_reviews`, and the script `mayar-reviews`."""

import sys

from .version import __version__


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:] == ["--version"]:
        print(__version__)  # noqa: T201  before anything that takes time is loaded
        return
    try:
        from .cli import run  # noqa: PLC0415  it needs the extra `cli`
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("cyclopts", "rich"):
            raise
        sys.exit("the command line is an extra: pip install 'mayar-reviews[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()
