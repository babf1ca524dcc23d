"""Arguments against their annotations: a value that these do not name is refused in words.

`checked` reads what stands in a signature anyway, `int`, `float | None`, `Literal["max", "mean"]`, a class,
and asks it of what is given, when something is made and never while it runs. `Annotated` adds a `Range`.
Numbers of numpy become Python's; a tensor is no number, a bool neither. Imports nothing of the library.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
REFUSED = object()
LONGEST = 80  # characters of a value that a message repeats


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated`.

    Attributes:
        low, high: the ends, which belong to it.
        above: what it has to be greater than.
        finite: whether infinity is left out.
        kind: what is expected, in words; None for a number.
        mend: what to do instead.
        limit: why there is an upper end, where it is one of machines and not of what the number means.
    """

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    finite: bool = True
    kind: str | None = None
    mend: str = ""
    limit: str = ""

    def __contains__(self, value: float) -> bool:
        return (
            self.low <= value <= self.high
            and value > self.above
            and (not self.finite or abs(value) < math.inf)
        )

    def says(self, kind: str, value: Any) -> str:
        """What is expected instead of a value: a kind of number within the bounds."""
        if self.limit and isinstance(value, int | float) and value > self.high:
            return f"{self.kind or kind} of at most {self.high}: {self.limit}"
        if self.kind is not None:
            return self.kind
        high = math.inf if self.limit else self.high
        if math.isfinite(self.low) and math.isfinite(high):
            return f"{kind} between {self.low} and {high}"
        ends = (("of at least", self.low), ("above", self.above), ("of at most", high))
        return " ".join([kind, *(f"{words} {end}" for words, end in ends if math.isfinite(end))])


TOO_MANY = "more would not fit in memory"
Count = Annotated[int, Range(1, 2**16, limit=TOO_MANY)]
Length = Annotated[float, Range(above=0, kind="a positive length")]
Extent = Annotated[float, Range(above=0, finite=False, kind="a positive length, or inf")]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(0)]
Size = Annotated[int, Range(1, 2**31 - 1, limit=TOO_MANY)]
Rings = Annotated[int, Range(1, 2**13, limit=TOO_MANY)]
Around = Annotated[int, Range(1, 2**14, limit=TOO_MANY)]
Bandwidth = Annotated[int, Range(1, 2**13, limit=TOO_MANY)]
Dimension = Annotated[int, Range(1, 16, limit="tables of its turns would not fit in memory")]
Rotations = Annotated[int, Range(1, 512, mend="8 is a good choice", limit=TOO_MANY)]
Pixels = Annotated[int, Range(16, 2**14, limit=TOO_MANY)]
Depth = Annotated[int, Range(0, 16, limit="at every level each axis is halved")]
Steps = Annotated[int, Range(1, 4096, limit="each costs as much as the first")]
Oversampling = Annotated[float, Range(1, 64, limit=TOO_MANY)]


@dataclass(frozen=True)
class Expected:
    """What an annotation asks for.

    Attributes:
        says: that in words, instead of a value.
        take: the value as it is taken, or REFUSED.
        mend: added to a refusal.
        is_tensor: whether it is a tensor, or None at most.
        refusal: of a class that has words of its own, ``(name, value)`` to the message.
    """

    says: Callable[[Any], str]
    take: Callable[[Any], Any]
    mend: str = ""
    is_tensor: bool = False
    refusal: Callable[[str, Any], str] | None = None


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose arguments are first held against their annotations.

    Raises:
        ValueError: for a value that its annotation does not name: the argument, the value, what was expected.
    """
    parameters = inspect.signature(function).parameters
    names = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    rest = next((n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
    asked = {n: expected(p.annotation) for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD}

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given = list(args)
        for i, value in enumerate(given):
            name = names[i] if i < len(names) else rest
            if name is not None:
                given[i] = _taken(name, value, asked[name])
        named = {name: _taken(name, value, asked.get(name)) for name, value in kwargs.items()}
        return function(*given, **named)  # type: ignore[arg-type]

    return wrapper


def check_fields(instance: Any) -> None:
    """The fields of a dataclass against their annotations, as `checked` does it; for ``__post_init__``."""
    for field in fields(instance):
        if field.init:
            value = getattr(instance, field.name)
            taken = _taken(field.name, value, expected(field.type))
            if taken is not value:
                object.__setattr__(instance, field.name, taken)


def _taken(name: str, value: Any, asked: Expected | None) -> Any:
    if asked is None:
        return value
    taken = asked.take(value)
    if taken is REFUSED:
        raise ValueError(_refusal(name, value, asked))
    return taken


def _refusal(name: str, value: Any, asked: Expected) -> str:
    if asked.refusal is not None:
        return asked.refusal(name, value)
    if asked.is_tensor and not isinstance(value, Tensor):
        return _no_tensor(name, value)
    text, mend = asked.says(value), asked.mend
    if isinstance(value, Tensor) and value.dim() == 0 and "number" in text:
        mend = f"{name}.item()"
    return f"{name} is {shown(value)}, expected {text}" + f"; {mend}" * bool(mend)


def expect_tensor(x: object, name: str) -> None:
    """ValueError for an array, a DataArray, a list: tensors come in, and tensors go out."""
    if not isinstance(x, Tensor):
        raise ValueError(_no_tensor(name, x))


def _no_tensor(name: str, x: object) -> str:
    called = name.split()[-1]
    array = f"{called}.values" if hasattr(x, "values") and hasattr(x, "dims") else called
    mend = f"torch.from_numpy({array})" if hasattr(x, "dtype") else f"torch.as_tensor({called})"
    of = mend if hasattr(x, "dtype") or isinstance(x, list | tuple) else "torch.as_tensor(...)"
    return f"{name} is a {type(x).__name__}, expected a tensor: {of}"


def shown(value: object) -> str:
    """A value in a message: as it is typed, or what kind of thing it is."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}"
    if isinstance(value, torch.nn.Module):
        return f"a {type(value).__name__}, a torch.nn.Module"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({type(value).__name__})"


@functools.cache
def expected(annotation: Any) -> Expected | None:
    """What an annotation asks for; None where that cannot be held against a value."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _number(inner[0], next(x for x in inner[1:] if isinstance(x, Range)))
    if origin in (Union, UnionType):
        return _any_of([expected(part) for part in inner])
    if origin is Literal:
        words = listed(f'"{x}"' if isinstance(x, str) else repr(x) for x in inner)
        return _plain(words, lambda value: any(type(value) is type(x) and value == x for x in inner))
    if annotation in (int, float):
        return _number(annotation, Range())
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if origin is Callable:
        return SIMPLE[Callable]
    if origin in (tuple, list, Sequence):
        return _sequence(origin, inner)
    if hasattr(annotation, "array_type"):  # of jaxtyping
        return _tensor(annotation)
    return _instance(origin or annotation)


def listed(words: Iterable[str]) -> str:
    """``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _plain(words: str, holds: Callable[[Any], bool], mend: str = "") -> Expected:
    return Expected(lambda _: words, lambda value: value if holds(value) else REFUSED, mend)


def _number(kind: type, bounds: Range) -> Expected:
    def take(value: Any) -> Any:
        if isinstance(value, np.number):
            value = value.item()
        right = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        return value if right and value in bounds else REFUSED

    name = "a whole number" if kind is int else "a finite number" if bounds.finite else "a number"
    return Expected(lambda value: bounds.says(name, value), take, bounds.mend)


def _any_of(parts: list[Expected | None]) -> Expected | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None

    def take(value: Any) -> Any:
        for part in known:
            taken = part.take(value)
            if taken is not REFUSED:
                return taken
        return REFUSED

    def says(value: Any) -> str:
        return listed(part.says(value) for part in known)

    refusal = next((part.refusal for part in known if part.refusal is not None), None)
    mend = next((part.mend for part in known if part.mend), "")
    return Expected(says, take, mend, all(part.is_tensor or part is NONE for part in known), refusal)


def _sequence(origin: Any, inner: tuple) -> Expected:
    fixed = origin is tuple and inner[1:] != (Ellipsis,)
    parts = [expected(part) for part in inner if part is not Ellipsis]

    def take(value: Any) -> Any:
        if not isinstance(value, tuple | list) or (fixed and len(value) != len(parts)):
            return REFUSED
        each = parts if fixed else parts * len(value)
        taken = [v if part is None else part.take(v) for v, part in zip(value, each, strict=True)]
        if any(x is REFUSED for x in taken):
            return REFUSED
        same = all(a is b for a, b in zip(taken, value, strict=True))
        return value if same else type(value)(taken)

    def says(_value: Any) -> str:
        words = ["anything" if part is None else part.says(None) for part in parts]
        if fixed:
            one = len(set(words)) == 1
            return f"{len(words)} entries, each {words[0]}" if one else f"({', '.join(words)})"
        return "a sequence" if words in ([], ["anything"]) else f"a sequence (each {words[0]})"

    return Expected(says, take)


def _tensor(annotation: Any) -> Expected | None:
    if annotation.array_type is not Tensor:
        return expected(annotation.array_type)
    axes = annotation.dim_str.split()
    varying = sum("*" in axis or axis == "..." for axis in axes)

    def holds(value: Any) -> bool:
        if not isinstance(value, Tensor):
            return False
        return value.dim() >= len(axes) - varying if varying else value.dim() == len(axes)

    shape = ", ".join(axes) + "," * (len(axes) == 1)
    return replace(_plain(f"a tensor ({shape})", holds), is_tensor=True)


def _instance(kind: Any) -> Expected | None:
    if not isinstance(kind, type) or kind in (object, type):
        return None
    words = WORDS.get(kind.__name__, f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}")
    asked = _plain(words, lambda value: isinstance(value, kind))
    return replace(asked, refusal=getattr(kind, "refusal", None))


def _flag(value: Any) -> Any:
    return bool(value) if isinstance(value, bool | np.bool_) else REFUSED


def _is_device(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and torch.device(value) is not None
    except (RuntimeError, TypeError):
        return False


NONE = _plain("None", lambda value: value is None)
WORDS = {"Module": "a torch.nn.Module", "Mapping": "a dictionary", "dtype": "a dtype, such as torch.float64"}
SIMPLE: dict[Any, Expected | None] = {
    None: NONE,
    NoneType: NONE,
    bool: Expected(lambda _: "True or False", _flag),
    str: _plain("a string", lambda value: isinstance(value, str)),
    Callable: _plain("a function", callable),
    Tensor: replace(_plain("a tensor", lambda value: isinstance(value, Tensor)), is_tensor=True),
    torch.device: _plain('a device, such as "cpu" or "cuda"', _is_device),
    Any: None,
    inspect.Parameter.empty: None,
}
