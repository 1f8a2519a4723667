"""JSON to models and arguments to JSON: the only module that imports cattrs, on first use.

Strict: a value of another type than the documented one is refused, by path and type and
never by value. Tolerant: unknown fields are passed over, an unknown status stays a string,
and what is optional may be missing or null. The time it takes is most of what this package
costs, so that a page has a faster way, and `benchmarks/` watches it.

What a whole answer means is the business of `wire`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from attrs import NOTHING, fields, has, resolve_types

from .arguments import NewReview, ProductReviews, ReviewChanges
from .errors import ResponseError
from .models import PaymentLink, ReviewStatus

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_Hook = Callable[[Any, Any], Any]
_ColumnHook = Callable[[list[Any]], list[Any]]


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
    try:
        return tuple(_column_hook(cls)(values))  # type: ignore[arg-type]  # classes are hashable
    except Exception:
        pass  # one by one it will be seen which does not fit, and why
    return tuple(structure(value, cls, f"{path}[{i}]") for i, value in enumerate(values))


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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _time(value: Any, _: Any) -> datetime:
    if type(value) is not int:
        raise _MisfitError("int", value)
    try:
        return _EPOCH + value * _MILLISECOND
    except OverflowError:
        pass
    raise _MisfitError("a time in Unix milliseconds", value)


# --- many at once ----------------------------------------------------------------------------
#
# Fifty reviews are structured column by column: the values of a field are checked and converted
# together, most of it in C, in two thirds of the time that cattrs takes for one review after
# the other. What fits here is what fits there; what does not fit is left to cattrs to explain.

_PLAIN: dict[Any, frozenset[type]] = {
    str: frozenset({str}),
    int: frozenset({int}),
    str | None: frozenset({str, NoneType}),
    int | None: frozenset({int, NoneType}),
}
_OBJECT: frozenset[type] = frozenset({dict})
_ARRAY: frozenset[type] = frozenset({list, NoneType})


@functools.cache
def _column_hook(kind: Any) -> _ColumnHook:
    if kind in _PLAIN:
        return functools.partial(_only, _PLAIN[kind])
    if has(kind) and kind is not PaymentLink:
        return _objects_hook(kind)
    if NoneType in get_args(kind):
        return _optionals_hook(kind)
    if getattr(kind, "__origin__", None) is tuple:
        return _sequences_hook(kind)
    hook = _converter().get_structure_hook(kind)
    return lambda values: [hook(value, kind) for value in values]


def _only(types: frozenset[type], values: list[Any]) -> list[Any]:
    if not types.issuperset(map(type, values)):
        raise TypeError
    return values


def _objects_hook(cls: Any) -> _ColumnHook:
    columns = [
        (_camel(one.name), one.default is NOTHING, _column_hook(one.type))
        for one in fields(resolve_types(cls))
    ]

    def structure(objects: list[Any]) -> list[Any]:
        _only(_OBJECT, objects)
        made = (
            # What is optional is `None` or `()` where it is missing, as where it is null.
            hook([one[name] if required else one.get(name) for one in objects])
            for name, required, hook in columns
        )
        return list(map(cls, *made))

    return structure


def _optionals_hook(cls: Any) -> _ColumnHook:
    (kind,) = (one for one in get_args(cls) if one is not NoneType)
    hook = _column_hook(kind)

    def structure(values: list[Any]) -> list[Any]:
        made = iter(hook([one for one in values if one is not None]))
        return [None if one is None else next(made) for one in values]

    return structure


def _sequences_hook(cls: Any) -> _ColumnHook:
    hook = _column_hook(get_args(cls)[0])

    def structure(arrays: list[Any]) -> list[Any]:
        _only(_ARRAY, arrays)
        made = iter(hook([one for array in arrays if array for one in array if one is not None]))
        return [
            tuple(islice(made, len(array) - array.count(None))) if array else () for array in arrays
        ]

    return structure


# --- one by one, and back --------------------------------------------------------------------


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
        names = [_camel(one.name) for one in fields(cls)]
        last: tuple[Any, Any] = (None, None)

        def structure(value: Any, _: Any) -> Any:
            nonlocal last
            if type(value) is not dict:
                raise _MisfitError("object", value)
            known = [value.get(name) for name in names]
            before, made = last
            if known != before:
                made = inner(value, cls)
                last = (known, made)
            return made

        return structure

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
    converter.register_structure_hook_factory(
        lambda cls: getattr(cls, "__origin__", None) is tuple, sequence_hook
    )
    converter.register_unstructure_hook_factory(has, to_object)
    return converter
