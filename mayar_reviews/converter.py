"""Parsed JSON to models: the only module that imports cattrs, on first use.

It is strict: a value of another type than the documented one is refused, by path and type and
never by value. It is tolerant: unknown fields are passed over, an unknown status stays a string,
and what is optional may be missing or null.

Models are made column by column: all values of one field are checked and converted together,
most of it in C. That is twice as fast as one review after the other, and structuring is most of
what this package costs (`benchmarks/` measures it). When a value does not fit, cattrs goes
through the same value in detail and says where and why.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from attrs import NOTHING, Attribute, fields, has, resolve_types

from .api_json import camel_case, to_time
from .errors import ResponseError
from .models import PaymentLink, ReviewStatus

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_MOST_ERRORS = 1000
_Column = Callable[[list[Any]], list[Any]]


def structure(value: object, cls: type[T], path: str) -> T:
    """Return the value as an instance of `cls`.

    Raises:
        ResponseError: it does not fit. The error's `path` begins with `path`, the place of the
            value in the answer.
    """
    try:
        made: T = _column(cls)([value])[0]  # type: ignore[arg-type]  # classes are hashable
    except Exception:
        pass  # raised below, so that the error has no frames that hold the answer
    else:
        return made
    raise _explain(value, cls, path)


def structure_each(values: list[Any], cls: type[T], path: str) -> tuple[T | ResponseError, ...]:
    """Do the same for each of a list. For a value that does not fit, return the error.

    Raises:
        ResponseError: too many do not fit: explaining each would take too long.
    """
    try:
        return tuple(_column(cls)(values))  # type: ignore[arg-type]  # as above
    except Exception:
        pass  # find out which does not fit
    made: list[T | ResponseError] = []
    errors: list[ResponseError] = []
    for i, value in enumerate(values):
        try:
            made.append(structure(value, cls, f"{path}[{i}]"))
        except ResponseError as error:
            errors.append(error.with_traceback(None))  # its frames hold the value
            made.append(errors[-1])
        if len(errors) > _MOST_ERRORS:
            break
    else:
        return tuple(made)
    del value
    raise errors[0]


def misfits(value: Mapping[str, Any], cls: type[Any]) -> frozenset[str]:
    """Return the names of the fields that do not fit, as the API writes them."""
    return frozenset(
        name
        for one in fields(resolve_types(cls))
        if (name := camel_case(one.name)) in value and not _fits(value[name], one)
    )


def _fits(value: object, one: Attribute[Any]) -> bool:
    try:
        _column(one.type)([value])  # type: ignore[arg-type]  # as above
    except Exception:
        return False
    return True


def wrong_type(path: str, expected: type, found: object) -> ResponseError:
    """Return the error for a value of a wrong type."""
    return malformed(path, str(_MisfitError(expected.__name__, found)))


def malformed(path: str, fault: str) -> ResponseError:
    """Return the error for an answer that is JSON but not of the API's shape."""
    # Not transient: it will have the same shape the next time.
    return ResponseError(f"{path}: {fault}", path=path, transient=False)


# --- values ----------------------------------------------------------------------------------


class _MisfitError(Exception):
    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, got {type(found).__name__}")


def _exactly(kind: type) -> Callable[[Any], Any]:
    # By exact type: plain cattrs would turn 4.7 into 4, None into "None" and "false" into True.
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise _MisfitError(kind.__name__, value)
        return value

    return check


def _to_float(value: Any) -> float:
    # JavaScript, which writes the API's answers, sends 5.0 as 5.
    if type(value) is not float and type(value) is not int:
        raise _MisfitError("number", value)
    return float(value)


_STATUSES: dict[str, ReviewStatus] = dict(ReviewStatus.__members__)


def _to_status(value: Any) -> ReviewStatus | str:
    if type(value) is not str:
        raise _MisfitError("str", value)
    return _STATUSES.get(value, value)


def _to_time(value: Any) -> datetime:
    if type(value) is not int:
        raise _MisfitError("int", value)
    try:
        return to_time(value)
    except OverflowError:
        pass
    raise _MisfitError("a time in Unix milliseconds", value)


_VALUES: dict[Any, Callable[[Any], Any]] = {
    str: _exactly(str),
    int: _exactly(int),
    bool: _exactly(bool),
    float: _to_float,
    datetime: _to_time,
    ReviewStatus | str: _to_status,
}


# --- columns ---------------------------------------------------------------------------------

# Of these only the types are checked, a whole column at a time.
_AS_THEY_ARE: dict[Any, frozenset[type]] = {
    str: frozenset({str}),
    int: frozenset({int}),
    str | None: frozenset({str, NoneType}),
    int | None: frozenset({int, NoneType}),
}
_OBJECT: frozenset[type] = frozenset({dict})
_ARRAY: frozenset[type] = frozenset({list, NoneType})


@functools.cache
def _column(kind: Any) -> _Column:
    """Return the function that converts a list of JSON values to a list of `kind`."""
    if kind in _AS_THEY_ARE:
        return functools.partial(_check_types, _AS_THEY_ARE[kind])
    if kind in _VALUES:
        convert = _VALUES[kind]
        return lambda values: list(map(convert, values))
    if kind is PaymentLink:
        return _shared_column(kind)
    if has(kind):
        return _object_column(kind)
    if _is_array(kind):
        return _array_column(get_args(kind)[0])
    (required,) = (one for one in get_args(kind) if one is not NoneType)
    return _optional_column(required)


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _check_types(types: frozenset[type], values: list[Any]) -> list[Any]:
    if not types.issuperset(map(type, values)):
        raise TypeError
    return values


def _object_column(cls: Any) -> _Column:
    columns = [
        (camel_case(one.name), one.default is NOTHING, _column(one.type))
        for one in fields(resolve_types(cls))
    ]

    def convert(objects: list[Any]) -> list[Any]:
        _check_types(_OBJECT, objects)
        made = (
            # An optional field that is missing counts as null.
            column([one[name] if required else one.get(name) for one in objects])
            for name, required, column in columns
        )
        return list(map(cls, *made))

    return convert


def _shared_column(cls: Any) -> _Column:
    # Every review of a page repeats its product: one object serves them all.
    column = _object_column(cls)

    def convert(objects: list[Any]) -> list[Any]:
        made: list[Any] = []
        for i, one in enumerate(objects):
            repeated = i and one == objects[i - 1]
            made.append(made[-1] if repeated else column([one])[0])
        return made

    return convert


def _optional_column(kind: Any) -> _Column:
    column = _column(kind)

    def convert(values: list[Any]) -> list[Any]:
        made = iter(column([one for one in values if one is not None]))
        return [None if one is None else next(made) for one in values]

    return convert


def _array_column(kind: Any) -> _Column:
    column = _column(kind)

    def convert(arrays: list[Any]) -> list[Any]:
        _check_types(_ARRAY, arrays)
        made = iter(column([one for array in arrays if array for one in array if one is not None]))
        return [
            tuple(islice(made, len(array) - array.count(None))) if array else () for array in arrays
        ]

    return convert


# --- the explanation -------------------------------------------------------------------------


def _explain(value: object, cls: type[Any], path: str) -> ResponseError:
    from cattrs import transform_error  # noqa: PLC0415

    try:
        _explainer().structure(value, cls)
    except Exception as error:
        # A line is "fault @ $.path". The path is made of attributes' names.
        fault, _, where = transform_error(error, path, _describe)[0].rpartition(" @ ")
        return malformed(re.sub(r"_([a-z])", lambda match: match[1].upper(), where), fault)
    return malformed(path, "does not fit")


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "a required field is missing"
    # Other exceptions' texts may hold the value.
    return str(error) if isinstance(error, _MisfitError) else "does not fit"


@functools.cache
def _explainer() -> Converter:
    # Imported here: cattrs is a tenth of what `import mayar_reviews` would cost.
    from cattrs import Converter  # noqa: PLC0415
    from cattrs.cols import homogenous_tuple_structure_factory  # noqa: PLC0415
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415

    converter = Converter(detailed_validation=True)

    def object_hook(cls: Any) -> Callable[[Any, Any], Any]:
        renamed: dict[str, Any] = {
            one.name: override(rename=camel_case(one.name)) for one in fields(cls)
        }
        inner = make_dict_structure_fn(cls, converter, **renamed)

        def check(value: Any, _: Any) -> Any:
            # Otherwise any string or list would do for a class of optional fields.
            if type(value) is not dict:
                raise _MisfitError("object", value)
            return inner(value, cls)

        return check

    def array_hook(cls: Any) -> Callable[[Any, Any], Any]:
        inner = homogenous_tuple_structure_factory(cls, converter)

        def check(value: Any, _: Any) -> Any:
            if value is None:
                return ()
            if type(value) is not list:
                raise _MisfitError("array", value)
            return inner([one for one in value if one is not None], cls)

        return check

    def value_hook(convert: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda value, _: convert(value)

    for kind, convert in _VALUES.items():
        converter.register_structure_hook(kind, value_hook(convert))
    converter.register_structure_hook_factory(has, object_hook)
    converter.register_structure_hook_factory(_is_array, array_hook)
    return converter
