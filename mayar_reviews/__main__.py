"""`python -m mayar_reviews`, and the script `mayar-reviews`."""

import sys


def main() -> None:
    """Run the command line and exit."""
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
