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
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter, methodcaller
from traceback import clear_frames
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from attrs import NOTHING, Attribute, fields, has, resolve_types

from .api_json import EPOCH, MILLISECOND, camel_case, to_time
from .errors import ResponseError
from .models import PaymentLink, ReviewStatus

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_MOST_ERRORS = 1000
_Values = Sequence[Any]
_Column = Callable[[_Values], _Values]


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


def _checker(*types: type) -> _Column:
    """Return a column whose values stay as they are, if they are of these types."""
    allowed = frozenset(types)

    def check(values: _Values) -> _Values:
        if not allowed.issuperset(map(type, values)):
            raise TypeError
        return values

    return check


_objects, _arrays = _checker(dict), _checker(list, NoneType)
_texts, _integers = _checker(str), _checker(int)
_QUICK: dict[Any, _Column] = {
    str: _texts,
    int: _integers,
    str | None: _checker(str, NoneType),
    int | None: _checker(int, NoneType),
    ReviewStatus | str: lambda values: list(map(_STATUSES.get, _texts(values), values)),
    datetime: lambda values: list(map(EPOCH.__add__, map(MILLISECOND.__mul__, _integers(values)))),
}


@functools.cache
def _column(kind: Any) -> _Column:
    """Return the function that converts a sequence of JSON values to one of `kind`."""
    if kind in _QUICK:
        return _QUICK[kind]
    if kind in _VALUES:
        return lambda values: list(map(_VALUES[kind], values))
    if has(kind):
        column = _object_column(kind)
        return functools.partial(_repeated, column) if kind is PaymentLink else column
    if _is_array(kind):
        return functools.partial(_array_column, _column(get_args(kind)[0]))
    (required,) = (one for one in get_args(kind) if one is not NoneType)
    return functools.partial(_optional_column, _column(required))


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _object_column(cls: Any) -> _Column:
    attributes = fields(resolve_types(cls))
    names = [camel_case(one.name) for one in attributes]
    columns = [_column(one.type) for one in attributes]
    make = _maker(cls, [one.name for one in attributes])
    readers = [itemgetter(name) for name in names]
    tolerant = [
        itemgetter(name) if one.default is NOTHING else methodcaller("get", name)
        for name, one in zip(names, attributes, strict=True)
    ]

    def convert(objects: _Values) -> _Values:
        objects = _objects(objects)
        try:
            cells = [list(map(read, objects)) for read in readers]
        except KeyError:  # an optional field that is missing counts as null
            cells = [list(map(read, objects)) for read in tolerant]
        return list(map(make, *(column(one) for column, one in zip(columns, cells, strict=True))))

    return convert


def _maker(cls: Any, names: list[str]) -> Callable[..., Any]:
    """Return what makes a frozen instance in a third of the time: of an open subclass at first."""

    class Open(cls):  # type: ignore[misc]
        __slots__ = ()
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__

    code = [
        f"def make({', '.join(names)}):",
        " one = new(Open)",
        *(f" one.{name} = {name}" for name in names),
        " one.__class__ = cls",
        " return one",
    ]
    scope: dict[str, Any] = {"new": object.__new__, "Open": Open, "cls": cls}
    exec("\n".join(code), scope)  # noqa: S102  as attrs makes `__init__`
    made: Callable[..., Any] = scope["make"]
    return made


def _repeated(column: _Column, values: _Values) -> _Values:
    # Every review of a product's list repeats the product: one object serves them all.
    if values and values.count(values[0]) == len(values):
        return [*column(values[:1])] * len(values)
    return column(values)


def _optional_column(column: _Column, values: _Values) -> _Values:
    if NoneType not in map(type, values):
        return column(values)
    made = iter(column([one for one in values if one is not None]))
    return [None if one is None else next(made) for one in values]


def _array_column(column: _Column, arrays: _Values) -> _Values:
    if not any(_arrays(arrays)):
        return [()] * len(arrays)
    if all(arrays) and set(map(len, arrays)) == {1} and [None] not in arrays:
        return list(zip(column([one for [one] in arrays]), strict=True))
    made = iter(column([one for array in arrays if array for one in array if one is not None]))
    return [
        tuple(islice(made, len(array) - array.count(None))) if array else () for array in arrays
    ]


# --- the explanation -------------------------------------------------------------------------


def _explain(value: object, cls: type[Any], path: str) -> ResponseError:
    from cattrs import transform_error  # noqa: PLC0415

    try:
        _explainer().structure(value, cls)
    except Exception as error:
        # A line is "fault @ $.path". The path is made of attributes' names.
        fault, _, where = transform_error(error, path, _describe)[0].rpartition(" @ ")
        # They are in a circle with cattrs' own errors, and would keep the whole answer for long.
        clear_frames(error.__traceback__)
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
