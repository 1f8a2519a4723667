"""The API key, and the one origin that it is sent to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from attrs import frozen

from .errors import InvalidArgumentError

PRODUCTION_URL = "https://api.mayar.id"
"""The origin of the real API."""
SANDBOX_URL = "https://api.mayar.club"
"""The origin of Mayar's sandbox, which has accounts and keys of its own."""

_ORIGIN = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?)/?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)


@frozen(repr=False)
class Secret:
    """A string that no repr shows."""

    value: str

    def __repr__(self) -> str:
        return "Secret(...)"

    def hide(self, said: Any) -> Any:
        """Return what a server said with the secret replaced, in case the server repeats it.

        Raises:
            RecursionError: it is nested too deeply.
        """
        match said:
            case str():
                return said.replace(self.value, "[API key]")
            case list():
                return [self.hide(one) for one in said]
            case dict():
                return {self.hide(name): self.hide(value) for name, value in said.items()}
        return said


def check_api_key(key: Secret) -> None:
    """Refuse a key that no header can carry.

    Raises:
        InvalidArgumentError: it is empty, not a string, or has a character that no key has.
    """
    if not isinstance(key.value, str):
        fault = f"is of type {type(key.value).__name__}"  # type: ignore[unreachable]
    elif not key.value:
        fault = "is empty, or MAYAR_API_KEY is not set"
    elif not (key.value.isascii() and key.value.isprintable()) or " " in key.value:
        fault = "has a space, a line end or another character that no key has"
    else:
        return
    raise InvalidArgumentError(f"{fault}: it must be the key as Mayar shows it", field="api_key")


def check_origin(base_url: object, *, allow_http: bool = False) -> str:
    """Return the origin without a slash at its end.

    Args:
        base_url: the origin.
        allow_http: whether plain http may go to another machine.

    Raises:
        InvalidArgumentError: it is not an origin, or is plain http to another machine.
    """
    match = _ORIGIN.fullmatch(base_url) if isinstance(base_url, str) else None
    if (
        match
        and _is_host(match["host"])
        and int(match["port"] or 1) <= 65535
        and (match["scheme"].lower() == "https" or allow_http or _is_loopback(match["host"]))
    ):
        return match["origin"]
    raise InvalidArgumentError(
        "is not an origin that the API key may go to: it must be https (http only on loopback), "
        "a host and perhaps a port, such as https://api.mayar.id",
        field="base_url",
    )


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return host.startswith("[") or all(_LABEL.fullmatch(label) for label in labels)


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
