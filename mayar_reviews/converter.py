"""JSON to models: the only module that imports cattrs, on first use.

It is strict: a value of another type than the documented one is refused, by path and type and
never by value. It is tolerant: unknown fields are passed over, an unknown status stays a string,
and what is optional may be missing or null.

msgspec checks, and makes the models whose JSON has their names and types. For the others it makes
a struct of the API's names and types, and a function that is written for the model moves its
fields into a frozen instance. This is most of what the package costs (`benchmarks/` measures it).
When a value does not fit, cattrs goes through it in detail and says where and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from operator import attrgetter
from traceback import clear_frames
from types import GenericAlias, NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, TypeVar, get_args, get_origin

import msgspec
from attrs import NOTHING, fields, has, resolve_types

from .api_json import EARLIEST, LATEST, camel_case, to_time
from .errors import ResponseError
from .models import PaymentLink, ReviewStatus

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_MOST_ERRORS = 1000
_EXACT = 2**42
"""Times in milliseconds below this (the year 2109) are exact as floating point seconds."""


def structure(value: object, cls: type[T], path: str) -> T:
    """Return the value as an instance of `cls`.

    Raises:
        ResponseError: it does not fit. The error's `path` begins with `path`, the place of the
            value in the answer.
    """
    made = _structure_one(value, cls, path)
    if isinstance(made, ResponseError):
        raise made
    return made


def structure_each(values: list[Any], cls: type[T], path: str) -> tuple[T | ResponseError, ...]:
    """Do the same for each of a list. For a value that does not fit, return the error.

    Raises:
        ResponseError: too many do not fit: explaining each would take too long.
    """
    try:
        return tuple(_make_each(msgspec.convert(values, _list_type(cls)), cls))
    except Exception:
        pass  # find out which does not fit
    made: list[T | ResponseError] = []
    errors: list[ResponseError] = []
    for i, value in enumerate(values):
        made.append(one := _structure_one(value, cls, f"{path}[{i}]"))
        if isinstance(one, ResponseError):
            errors.append(one)
        if len(errors) > _MOST_ERRORS:
            raise errors[0]
    return tuple(made)


def _structure_one(value: object, cls: type[T], path: str) -> T | ResponseError:
    try:
        (made,) = _make_each(msgspec.convert([value], _list_type(cls)), cls)
    except Exception:
        pass  # explained below, so that the error has no frames that hold the answer
    else:
        return made
    return _explain(value, cls, path)


def load_list(body: bytes, cls: type[Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """Parse an answer whose `data` is a list of `cls`, and check the list at the same time.

    Args:
        body: the answer, as JSON.
        cls: a model.
        names: the other fields of the answer that are wanted; they may hold anything.

    Returns:
        Those fields, and in `data` structs, which `structure_each` does not check again. `None`:
        the answer is not like that, or not in UTF-8.
    """
    try:
        body.decode()  # msgspec does not check it in what it passes over
        return _list_decoder(cls, names)(body)  # type: ignore[arg-type]  # classes are hashable
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@cache
def _list_decoder(cls: type[Any], names: tuple[str, ...]) -> Callable[[bytes], dict[str, Any]]:
    types: dict[str, Any] = dict.fromkeys(names, Any) | {"data": _list_type(cls)}
    answer: Any = TypedDict("answer", types, total=False)  # type: ignore[misc]  # made at run time
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(answer).decode
    return decode


def misfits(value: Mapping[str, Any], cls: type[Any]) -> frozenset[str]:
    """Return the names of the fields that do not fit, as the API writes them."""
    return frozenset(
        name
        for one in fields(resolve_types(cls))
        if (name := camel_case(one.name)) in value and not _fits(value[name], one.type)
    )


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, _json_type(kind))
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


# --- checked by msgspec ----------------------------------------------------------------------


@cache
def _struct(cls: Any) -> Any:
    """Return the struct for the JSON of a model."""
    members = []
    for one in fields(resolve_types(cls)):
        kind = _json_type(one.type)
        members.append((one.name, kind) if one.default is NOTHING else (one.name, kind, None))
    return msgspec.defstruct(cls.__name__, members, rename=camel_case, frozen=True, gc=False)


@cache
def _json_type(kind: Any) -> Any:
    """Return what msgspec is to check for a field's type."""
    if has(kind):
        return kind if _is_plain(kind) else _struct(kind)
    if kind is datetime:
        return Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
    if kind == ReviewStatus | str:
        return str
    if _is_array(kind):
        return _list_type(get_args(kind)[0] | None) | None
    if NoneType in get_args(kind):
        return _json_type(_required(kind)) | None
    return kind


def _is_plain(cls: Any) -> bool:
    """Return whether a model has the names and types of its JSON, so that msgspec makes it."""
    return all(
        one.name == camel_case(one.name) and one.type == _json_type(one.type)
        for one in fields(resolve_types(cls))
    )


def _list_type(kind: Any) -> Any:
    return GenericAlias(list, (_json_type(kind),))


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _required(kind: Any) -> Any:
    (required,) = (one for one in get_args(kind) if one is not NoneType)
    return required


def _make_each(structs: list[Any], cls: type[T]) -> Iterable[T]:
    """Return the models of checked structs."""
    make: Callable[..., T] = _maker(cls)  # type: ignore[arg-type]  # classes are hashable
    columns = (list(map(attrgetter(name), structs)) for name in _times(cls))
    return map(make, structs, *map(_to_times, columns))


def _times(cls: Any) -> list[str]:
    return [one.name for one in fields(resolve_types(cls)) if one.type is datetime]


def _to_times(milliseconds: list[int]) -> list[datetime]:
    if max(map(abs, milliseconds), default=0) < _EXACT:
        # In a fifth of the time.
        seconds = [one / 1000 for one in milliseconds]
        return msgspec.convert(seconds, list[datetime], strict=False)
    return list(map(to_time, milliseconds))


@cache
def _maker(cls: Any) -> Callable[..., Any]:
    """Return what makes a model of its struct and its times.

    A frozen instance is made in a third of the time if it is of an open subclass at first:

        def make(struct, created_at, updated_at):
            one = new(Open)
            one.id = struct.id
            one.created_at = created_at
            …
            one.__class__ = cls
            return one
    """

    class Open(cls):  # type: ignore[misc]
        __slots__ = ()
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__

    times = _times(cls)
    scope: dict[str, Any] = {
        "new": object.__new__,
        "Open": Open,
        "cls": cls,
        "to_time": to_time,
        "status": dict(ReviewStatus.__members__).get,
    }
    values = {
        one.name: _expression(one.type, f"struct.{one.name}", scope) for one in fields(cls)
    } | {name: name for name in times}
    code = [
        f"def make({', '.join(['struct', *times])}):",
        " one = new(Open)",
        *(f" one.{name} = {value}" for name, value in values.items()),
        " one.__class__ = cls",
        " return one",
    ]
    exec("\n".join(code), scope)  # noqa: S102  as attrs makes `__init__`
    made: Callable[..., Any] = scope["make"]
    return made


def _expression(kind: Any, value: str, scope: dict[str, Any]) -> str:
    """Return the code that makes a checked value one of that kind."""
    if has(kind) and not _is_plain(kind):
        make = _maker(kind)
        # Every review of a product's list repeats the product: one object serves them all.
        scope[f"make_{kind.__name__}"] = lru_cache(1)(make) if kind is PaymentLink else make
        times = [f"to_time({value}.{name})" for name in _times(kind)]
        return f"make_{kind.__name__}({', '.join([value, *times])})"
    if kind is datetime:
        return f"to_time({value})"
    if kind == ReviewStatus | str:
        return f"status({value}, {value})"
    if _is_array(kind):
        made = _expression(get_args(kind)[0], "each", scope)
        return f"tuple([{made} for each in {value} if each is not None]) if {value} else ()"
    if NoneType in get_args(kind):
        inner = _expression(_required(kind), value, scope)
        return value if inner == value else f"None if {value} is None else {inner}"
    return value


# --- the explanation -------------------------------------------------------------------------


class _MisfitError(Exception):
    def __init__(self, expected: str, found: object) -> None:
        super().__init__(f"expected {expected}, got {type(found).__name__}")


_EXPECTED: dict[Any, str] = {
    str: "str",
    int: "int",
    bool: "bool",
    float: "number",
    datetime: "a time in Unix milliseconds",
    ReviewStatus | str: "str",
}


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


@cache
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

    def value_hook(kind: Any) -> Callable[[Any, Any], Any]:
        def check(value: Any, _: Any) -> Any:
            if not _fits(value, kind):
                raise _MisfitError(_EXPECTED[kind], value)
            return value

        return check

    for kind in _EXPECTED:
        converter.register_structure_hook(kind, value_hook(kind))
    converter.register_structure_hook_factory(has, object_hook)
    converter.register_structure_hook_factory(_is_array, array_hook)
    return converter
