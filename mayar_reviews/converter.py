"""JSON to models and arguments to JSON: the only module that imports cattrs, on first use.

Strict: a value of another type than the documented one is refused, by path and type and
never by value. Tolerant: unknown fields are passed over, an unknown status stays a string,
and what is optional may be missing or null. The time it takes is most of what this package
costs, so the hooks are written for speed and `benchmarks/` watches them.

What a whole answer means is the business of `wire`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from attrs import fields, has

from .arguments import NewReview, ProductReviews, ReviewChanges
from .errors import ResponseError
from .models import PaymentLink, ReviewStatus

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_Hook = Callable[[Any, Any], Any]


def to_json(arguments: Any) -> Any:
    """The arguments under the API's names, without those that were not given."""
    return _converter().unstructure(arguments)


def structure(value: object, cls: type[T], path: str) -> T:
    """The value as an instance of `cls`.

    Raises:
        ResponseError: it does not fit; `path` is where it stood in the answer.
    """
    try:
        return _converter().structure(value, cls)
    except Exception:
        pass  # what follows must not drag along frames that hold the answer
    raise _explain(value, cls, path)


def structure_all(values: list[Any], cls: type[T], path: str) -> tuple[T, ...]:
    """Like `structure`, for each of a list."""
    hook = _converter().get_structure_hook(cls)
    done: list[T] = []
    try:
        for value in values:
            done.append(hook(value, cls))  # noqa: PERF401  it must tell how far it came
    except Exception:
        pass
    else:
        return tuple(done)
    # Only the one that failed is explained: of a hostile page, a report of all of them could
    # be larger than memory.
    raise _explain(values[len(done)], cls, f"{path}[{len(done)}]")


def mistyped(path: str, expected: type, found: object) -> ResponseError:
    """The error for a value of a wrong type."""
    return unfit(path, str(_MisfitError(expected.__name__, found)))


def unfit(path: str, fault: str) -> ResponseError:
    """The error for a well-formed answer that is not of the API's shape."""
    error = ResponseError(f"{path}: {fault}", path=path)
    error.transient = False  # it will be of the same shape the next time
    return error


def _explain(value: object, cls: type[Any], path: str) -> ResponseError:
    from cattrs import transform_error  # noqa: PLC0415

    try:
        _converter(detailed=True).structure(value, cls)
    except Exception as error:
        # A line is "fault @ $.path", the path made of attributes' names.
        fault, _, where = transform_error(error, path, _describe)[0].rpartition(" @ ")
        return unfit(re.sub(r"_([a-z])", lambda match: match[1].upper(), where), fault)
    return unfit(path, "does not fit")


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "a required field is missing"
    # Only of our own exceptions is it known that their texts hold no value.
    return str(error) if isinstance(error, _MisfitError) else "does not fit"


class _MisfitError(Exception):
    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, got {type(found).__name__}")


def _exactly(kind: type) -> _Hook:
    # By exact type: plain cattrs would turn 4.7 into 4, None into "None" and "false" into True.
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise _MisfitError(kind.__name__, value)
        return value

    return structure


def _number(value: Any, _: Any) -> Any:
    if type(value) is not float and type(value) is not int:
        raise _MisfitError("number", value)
    return value


_STATUSES: dict[str, ReviewStatus] = dict(ReviewStatus.__members__)


def _status(value: Any, _: Any) -> ReviewStatus | str:
    if type(value) is not str:
        raise _MisfitError("str", value)
    return _STATUSES.get(value, value)


def _time(value: Any, _: Any) -> datetime:
    if type(value) is not int:
        raise _MisfitError("int", value)
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ArithmeticError, ValueError, OSError):
        pass
    raise _MisfitError("a time in Unix milliseconds", value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@functools.cache
def _converter(*, detailed: bool = False) -> Converter:
    # Imported here, as cattrs is a tenth of what `import mayar_reviews` would cost.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.cols import homogenous_tuple_structure_factory  # noqa: PLC0415
    from cattrs.gen import (  # noqa: PLC0415
        make_dict_structure_fn,
        make_dict_unstructure_fn,
        override,
    )

    converter = Converter(detailed_validation=detailed)

    def attributes(cls: Any) -> dict[str, Any]:
        return {one.name: override(rename=_camel(one.name)) for one in fields(cls)}

    def object_hook(cls: Any) -> _Hook:
        inner = make_dict_structure_fn(cls, converter, **attributes(cls))

        def structure(value: Any, _: Any) -> Any:
            # Else a class of optional fields would be made of any string or list.
            if type(value) is not dict:
                raise _MisfitError("object", value)
            return inner(value, cls)

        return structure

    def shared_hook(cls: Any) -> _Hook:
        # A product's pages repeat its payment link in every review: one object serves them all.
        inner = object_hook(cls)
        last: tuple[Any, Any] = (None, None)

        def structure(value: Any, _: Any) -> Any:
            nonlocal last
            raw, made = last
            if value != raw:
                made = inner(value, cls)
                last = (value, made)
            return made

        return structure

    def optional_hook(cls: Any) -> _Hook:
        (kind,) = (one for one in get_args(cls) if one is not NoneType)
        inner = converter.get_structure_hook(kind)
        return lambda value, _: None if value is None else inner(value, kind)

    def sequence_hook(cls: Any) -> _Hook:
        inner = homogenous_tuple_structure_factory(cls, converter)

        def structure(value: Any, _: Any) -> tuple[Any, ...]:
            if value is None:
                return ()
            if type(value) is not list:
                raise _MisfitError("array", value)
            if None in value:
                value = [one for one in value if one is not None]
            made: tuple[Any, ...] = inner(value, cls)
            return made

        return structure

    # Of these the request says something in its path, or not at all.
    special: dict[type, dict[str, Any]] = {
        NewReview: {"customer_id": override(omit=True)},
        ProductReviews: {"payment_link_id": override(omit=True)},
        ReviewChanges: {"review_id": override(rename="id")},
    }

    def to_object(cls: Any) -> Callable[[Any], dict[str, Any]]:
        names = attributes(cls) | special.get(cls, {})
        return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **names)

    converter.register_structure_hook(ReviewStatus | str, _status)
    converter.register_structure_hook(datetime, _time)
    converter.register_structure_hook(float, _number)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    # Of factories the last one registered is asked first.
    converter.register_structure_hook_factory(has, object_hook)
    converter.register_structure_hook_factory(lambda cls: cls is PaymentLink, shared_hook)
    converter.register_structure_hook_factory(lambda cls: NoneType in get_args(cls), optional_hook)
    converter.register_structure_hook_factory(
        lambda cls: getattr(cls, "__origin__", None) is tuple, sequence_hook
    )
    converter.register_unstructure_hook_factory(has, to_object)
    return converter
