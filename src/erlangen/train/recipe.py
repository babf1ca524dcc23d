"""A network's recipe: all of it that is no weight, as plain values, each within bounds."""

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from erlangen.models import Classifier, Options, UNet
from erlangen.models.options import BEFORE
from erlangen.models.options import NAMES as OPTIONS
from erlangen.nn.equivariant import View
from erlangen.spaces import Plane, Volume
from erlangen.train.predictor import Predictor
from erlangen.train.task import Task
from erlangen.train.volume_files import CHANNELS

DOMAINS: dict[str, type[Plane] | type[Volume]] = {"Plane": Plane, "Volume": Volume}
NETWORKS: dict[str, type[UNet] | type[Classifier]] = {"UNet": UNet, "Classifier": Classifier}
MOST_LEVELS = 17
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Rule:
    """What one value of a recipe may be, in words and as a test."""

    expected: str
    holds: Callable[[Any], bool]

    def __or__(self, other: "Rule") -> "Rule":
        return Rule(
            f"{self.expected} or {other.expected}", lambda value: self.holds(value) or other.holds(value)
        )


def whole(least: int, most: int) -> Rule:
    """A whole number; True and 3.0 are none."""
    return Rule(
        f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most
    )


def number(least: float, most: float) -> Rule:
    """A finite number."""
    return Rule(
        f"a number from {least:g} to {most:g}", lambda value: _is_number(value) and least <= value <= most
    )


def one_of(*names: str) -> Rule:
    """One of some words."""
    return Rule(
        " or ".join(f'"{name}"' for name in names), lambda value: type(value) is str and value in names
    )


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _is_range(value: object) -> bool:
    return type(value) is list and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _is_flat(value: object) -> bool:
    values = value if type(value) is list and len(value) <= MOST_LEVELS else [value]
    return all(type(one) in (str, int, float, bool, type(None)) for one in values)


def _are_names(value: object) -> bool:
    return (
        type(value) is list
        and 2 <= len(value) <= 255
        and all(type(name) is str and len(name) <= 1000 for name in value)
    )


def _is_length(value: object) -> bool:
    return _is_number(value) and 0 < value < math.inf  # type: ignore[operator]


def _are_lengths(value: object) -> bool:
    return type(value) is list and len(value) == 3 and all(map(_is_length, value))


NOTHING = Rule("null", lambda value: value is None)
SWITCH = Rule("true or false", lambda value: type(value) is bool)
MODEL = {
    "name": one_of(*NETWORKS),
    "in_channels": whole(1, CHANNELS),
    "out_channels": whole(1, 255),
    **dict.fromkeys(OPTIONS, Rule("one value, or one for each resolution", _is_flat)),
}
LARGEST = {"kernel_size": 127, "radius": 32.0, "rings": 64, "blocks": 64}  # of what others wrote
MOTIONS = NOTHING | one_of("translations", "roto-translations", "isometries")
SPACES = {
    "Plane": {
        "name": one_of("Plane"),
        "rotations": NOTHING | whole(1, 64),
        "reflections": SWITCH,
        "symmetry": MOTIONS,
    },
    "Volume": {
        "name": one_of("Volume"),
        "rotations": NOTHING | one_of("cube") | whole(1, 64),
        "reflections": SWITCH,
        "axis": NOTHING | whole(0, 2),
        "degree": NOTHING | whole(0, 5),
        "symmetry": MOTIONS,
        "spacing": Rule("a length, or one for each axis", lambda v: _is_length(v) or _are_lengths(v)),
    },
}
TASK = {
    "classes": Rule("2 to 255 names of at most 1000 letters", _are_names),
    "dense": SWITCH,
}
WHOLE = {
    "size": NOTHING | whole(1, 2**31),
    "values": NOTHING | Rule("[low, high]", _is_range),
    "shrinking": one_of("cubic", "mean"),
    "spacing": NOTHING | Rule("three lengths above 0", _are_lengths),
}
NEEDED = {"domain", "model", "task", "size", "name", "classes", "dense"}
NEEDED |= {"in_channels", "out_channels", "width", "depth"}


def recipe_of(model: Predictor) -> dict[str, Any]:
    """The recipe of a predictor.

    Raises:
        ValueError: for a network that is no UNet or Classifier on the plane, or one beyond the bounds.
    """
    net = model.net
    kind = net.view_class if isinstance(net, View) else type(net)  # of one that moved, what it is
    if kind not in NETWORKS.values() or not isinstance(net.domain, Plane | Volume):
        raise ValueError(
            f"{type(net).__name__} cannot be saved, expected a UNet or Classifier on the plane or on volumes"
        )
    fields = {getattr(net, name, "scalar") for name in ("in_field", "out_field")}
    if fields != {"scalar"}:
        others = ", ".join(sorted(map(str, fields - {"scalar"})))
        raise ValueError(
            f"a network of {others} fields cannot be saved, expected scalar ones in and out; keep its "
            "state_dict() by torch.save"
        )
    channels = {"in_channels": net.in_channels, "out_channels": net.out_channels}
    options = _plain(vars(net.options))
    recipe = {
        "domain": {"name": type(net.domain).__name__, **_plain(net.domain.recipe)},
        "model": {"name": kind.__name__, **channels, **options},
        "task": {"classes": list(model.task.classes), "dense": model.task.dense},
        "size": model.size,
        "values": None if model.values is None else [float(value) for value in model.values],
        "shrinking": model.shrinking,
    }
    if model.spacing is not None:
        recipe["spacing"] = [float(step) for step in model.spacing]
    try:
        expect_recipe(recipe)
    except ValueError as error:
        raise ValueError(f"the network cannot be saved: {error}; build it again with that") from error
    return recipe


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def read_recipe(text: str | bytes) -> dict[str, Any]:
    """The recipe that JSON holds; its values may be anything yet.

    Raises:
        ValueError: for what is no JSON object, holds a key twice or no numbers, or is nested too deep.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key occurs twice, expected each once")
        return found

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number, expected finite ones")

    try:
        recipe = json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("brackets are nested too deep, expected a few levels") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"it is {reprlib.repr(recipe)}, expected a JSON object")
    return recipe


def expect_recipe(recipe: Mapping[str, Any]) -> None:
    """ValueError for a recipe that holds another value than the bounds allow, or that does not fit itself.

    Options of a network may be missing, as of those written before there were such; they are then what
    they are by default.
    """
    _expect(recipe, {**WHOLE, **dict.fromkeys(("domain", "model", "task"), Rule("an object", _is_object))})
    domain, model, task = (recipe[key] for key in ("domain", "model", "task"))
    kinds = (model.get("name"), domain.get("name"))
    if not all(isinstance(k, str) for k in kinds) or kinds[0] not in NETWORKS or kinds[1] not in SPACES:
        networks, spaces = " or ".join(NETWORKS), " or ".join(SPACES)
        raise ValueError(f"{reprlib.repr(kinds)}, expected a {networks} on a {spaces}")
    _expect(model, MODEL)
    options = options_of(model)
    _expect(domain, SPACES[domain["name"]])
    _expect(task, TASK)
    if domain["name"] == "Plane" and (model["in_channels"] != 3 or recipe.get("spacing") is not None):
        raise ValueError(
            f"it takes {model['in_channels']} channels in steps of {recipe.get('spacing')} on a Plane, "
            "expected 3 colours, and no steps"
        )
    logits = Task(tuple(task["classes"]), task["dense"]).logits
    if task["dense"] != (kinds[0] == "UNet") or model["out_channels"] != logits:
        what, kind = ("every pixel", "UNet") if task["dense"] else ("the whole photograph", "Classifier")
        raise ValueError(
            f"it is a {kinds[0]} with out_channels={model['out_channels']}, expected a {kind} with {logits} "
            f"for {len(task['classes'])} classes of {what}"
        )
    order = order_of(domain)
    if order * largest(options.oversampling) > 256 or order * largest(options.radius) > 128:
        raise ValueError(
            f"rotations={domain.get('rotations')}, oversampling={options.oversampling} and "
            f"radius={options.radius} are too many samples, expected fewer"
        )


def options_of(model: Mapping[str, Any]) -> Options:
    """The options in the recipe of a network, within the bounds of what others may have written."""
    options = Options(**{name: value for name, value in _told(model).items() if name in OPTIONS})
    for name, most in LARGEST.items():
        if largest(value := getattr(options, name)) > most:
            raise ValueError(f"{name} is {reprlib.repr(value)}, expected at most {most}")
    return options


def _told(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe says of a network, and what was no choice when it said nothing."""
    return {**model, **{name: value for name, value in BEFORE.items() if model.get(name) is None}}


def largest(values: Any) -> float:
    """Of the values of all resolutions; 0 for None."""
    return max(values) if isinstance(values, tuple) else values or 0


def expect_borne_out(recipe: Mapping[str, Any], shapes: Shapes) -> None:
    """ValueError for numbers that tensors of these shapes cannot bear out, before anything is built of them.

    A level and a block have a tensor of their own, a channel has a number, and so have the functions that
    kernels are summed from: about (kernel_size + 1)^2 / 8 for each entry of the fibre.
    """
    domain, model, options = recipe["domain"], recipe["model"], options_of(recipe["model"])
    name = "net.lift.0.weight" if model["name"] == "UNet" else "net.features.0.weight"
    lift = shapes.get(name, ())
    if len(lift) != 3:
        raise ValueError(f"there is no {name} of three axes, expected that of a {model['name']}")
    longest = max(n for shape in shapes.values() for n in shape)
    functions, most = lift[2], max(shape[2] for shape in shapes.values() if len(shape) == 3)
    mixed = [shape[2] for name, shape in shapes.items() if name.endswith(".mixing") and len(shape) == 3]
    others = [shape[2] / max(functions, 1) for shape in shapes.values() if len(shape) == 3]
    levels, order = range(options.depth + 1), order_of(domain)
    kernels = [_functions(options, level, order) for level in levels]
    widths = [options.at("width", level) or 1 for level in levels]
    for what, needed, there in (
        ("depth and blocks", sum(options.at("blocks", level) or 1 for level in levels), len(shapes)),
        ("width and depth", max(widths), longest),
        ("kernel_size", kernels[0], functions),
        ("kernel_size", max(kernels), most),
        ("rotations", order, 1.25 * max(mixed or others) + 4),
    ):
        if needed > there:
            raise ValueError(
                f"{what} are those of a larger network than that of these tensors ({needed:g} for {there:g})"
            )


def _functions(options: Options, level: int, order: int) -> float:
    """From how many functions the kernels of a level are summed, at least."""
    taps = (options.at("kernel_size", level) or 5) + 1
    round_ones = taps / 2 - (options.at("taps", level) == "smooth")
    return options.at("rings", level) or min(taps**2 / 8, round_ones if order == 1 else math.inf)


def order_of(domain: Mapping[str, Any]) -> int:
    """How many entries the fibre has; 1 without one, and of functions of a direction one for each degree."""
    if domain.get("degree") is not None:
        return domain["degree"] + 1
    turns = 24 if domain.get("rotations") == "cube" else domain.get("rotations") or 1
    return turns * (2 if domain.get("reflections") else 1)


def build(recipe: Mapping[str, Any], domain: Plane | Volume | None = None) -> Predictor:
    """The predictor of a recipe that holds, on the meta device: names and shapes, and no memory.

    Args:
        recipe: one that `expect_recipe` lets pass.
        domain: the plane or space itself, if there is one, with what it remembers; None builds it.

    Raises:
        ValueError: for options that do not go together.
    """
    told: dict[str, Any]
    told, model = ({k: v for k, v in recipe[key].items() if k != "name"} for key in ("domain", "model"))
    task, values, spacing = recipe["task"], recipe.get("values"), recipe.get("spacing")
    told = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    kind = DOMAINS[recipe["domain"]["name"]]
    domain = domain or kind(**told)  # outside of the meta device, as its tables are
    with torch.device("meta"):
        net = NETWORKS[recipe["model"]["name"]](domain, **_told(model))
        _expect_same(options_of(model), net.options, model)
        return Predictor(
            net,
            size=recipe["size"],
            task=Task(tuple(task["classes"]), task["dense"]),
            values=None if values is None else (values[0], values[1]),
            shrinking=recipe.get("shrinking", "mean"),  # what was written before there was a choice
            spacing=None if spacing is None else (spacing[0], spacing[1], spacing[2]),
        )


def _expect_same(given: Options, built: Options, names: Iterable[str]) -> None:
    """ValueError for an option that was left to the network: those of one that was saved are known."""
    for name in OPTIONS:
        if name in names and getattr(given, name) != getattr(built, name):
            raise ValueError(f"{name} is {getattr(given, name)!r}, expected {getattr(built, name)!r}")


def _is_object(value: object) -> bool:
    return type(value) is dict


def _expect(part: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    unknown = [key for key in part if key not in rules]
    if unknown:
        raise ValueError(f"there is no {reprlib.repr(unknown[0])}, expected {', '.join(rules)}")
    missing = [key for key in rules if key in NEEDED and key not in part]
    if missing:
        raise ValueError(f"{missing[0]} is missing, expected {rules[missing[0]].expected}")
    for key, value in part.items():
        if not rules[key].holds(value):
            raise ValueError(f"{key} is {reprlib.repr(value)}, expected {rules[key].expected}")
