"""A copy of a network for inference only."""

import copy
import warnings
from functools import partial
from itertools import pairwise
from operator import attrgetter

import torch
from torch import nn
from torch.nn.utils import parametrize

from erlangen.arguments import shown
from erlangen.nn.correlation import Correlation
from erlangen.nn.equivariant import View
from erlangen.nn.frozen import PLAIN_NORMS, FrozenCorrelation, FrozenSequential
from erlangen.nn.in_turn import HOOKS

CORRELATED = Correlation.forward
CHILDREN = attrgetter("_modules")


def freeze(module: nn.Module) -> nn.Module:
    r"""A copy for inference, with the same answers to rounding, in less time; the original stays as it is.

    Filters are made of the coefficients once, instead of at every call. A norm by running statistics,
    ``a (y - mean) / sqrt(var + eps) + b``, that directly follows a correlation goes into the filters: in
    `ConvBlock`, in ``torch.nn.Sequential``, and wherever a forward calls ``correlation.normed(field, norm)``.
    Layers of every space are frozen; what has no filters just runs. Parametrized weights become weights.

    The copy is in eval mode, and stays there: ``.train()`` raises. It has parameters of the same names, none
    of which asks for a gradient; inputs may. Loading a state makes the filters again, casting and moving
    casts and moves them. Parts that are called by themselves, or have hooks, answer as those of the original:
    only who applies a correlation and its norm together gets both at once.

    Args:
        module: any, with layers of the library in it.

    Raises:
        ValueError: for what is no module. Asked of the copy: `.train()`, and `er.on` with another domain.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=4), 3, 1, width=2, depth=1).eval()
        >>> frozen, x = er.freeze(net), torch.randn(1, 3, 17, 12)
        >>> bool((frozen(x) - net(x)).abs().max() < 1e-5)
        True
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module is {shown(module)}, expected a torch.nn.Module to make a copy of")
    _refuse_replaced(module)
    _tell_of_fresh(module)
    with torch.inference_mode(False), torch.no_grad():
        whole = _settled(copy.deepcopy(module))
        whole = _replaced(whole, _norms_behind(whole), {})
        for part in whole.modules():
            part.train = partial(_stay, part)  # type: ignore[method-assign]
    return whole


def is_replaced(module: nn.Module) -> bool:
    """Whether the forward of a part is another than that of its class, as `torch.compile` makes it."""
    return any("forward" in vars(part) for part in module.modules())


def _refuse_replaced(module: nn.Module) -> None:
    for part in module.modules():
        if "forward" in vars(part):
            raise ValueError(
                f"the forward of this {type(part).__name__} was replaced by another one, which would not be "
                "that of the copy, expected a module as its class has it; compile after: "
                "torch.compile(er.freeze(net))"
            )


def _tell_of_fresh(module: nn.Module) -> None:
    for part in module.modules():
        if not isinstance(part, PLAIN_NORMS) or not part.training or part.running_var is None:
            continue
        if not part.running_var.is_meta and bool((part.running_var == 1).all()):
            warnings.warn(
                f"this {type(module).__name__} is in training mode and its norms have seen no batch: frozen "
                "it divides by ones; expected a trained network, or .eval() first if that is meant",
                stacklevel=3,
            )
            return


def _settled(module: nn.Module) -> nn.Module:
    """In eval mode, no longer seen from elsewhere, each weight a number without a gradient."""
    module = _owned(module.eval(), {})
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            _unparametrize(part)
    return module.requires_grad_(False)


def _unparametrize(module: nn.Module) -> None:
    """As torch removes parametrizations, but for the class, which copies share."""
    values = {name: getattr(module, name) for name in module.parametrizations}  # type: ignore[union-attr]
    del module.parametrizations
    module.__class__ = parametrize.type_before_parametrizations(module)
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value.detach().clone()))


def _owned(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    """The module, each part of it that is only a view of another one as a module of its own."""
    if id(module) in done:
        return done[id(module)]
    own = module
    if isinstance(module, View):
        own = _with(module.view_class, module)
        for name, domain in module.view_domains.items():
            setattr(own, name, domain)
    done[id(module)] = own
    parts = {name: child and _owned(child, done) for name, child in CHILDREN(module).items()}
    vars(own)["_modules"] = parts
    return own


def _with(of: type, module: nn.Module) -> nn.Module:
    """A module of another class, with the parts of this one."""
    other: nn.Module = of.__new__(of)  # type: ignore[call-overload]
    other.__setstate__(vars(module))
    return other


def _replaced(module: nn.Module, norms: dict[int, nn.Module], done: dict[int, nn.Module]) -> nn.Module:
    """The module, its parts frozen; `norms` are those behind correlations."""
    if id(module) in done:
        return done[id(module)]
    found = module
    if type(module) is nn.Sequential:
        found = _with(FrozenSequential, module)
    elif isinstance(module, Correlation) and _is_plain(module):
        found = FrozenCorrelation.of(module, norms.get(id(module)))
    done[id(module)] = found
    for name, child in list(CHILDREN(module).items()):
        if child is not None:
            setattr(found, name, _replaced(child, norms, done))
    return found


def _is_plain(layer: Correlation) -> bool:
    """Whether its forward is that of all, of weights that nothing changes before it."""
    hooks = getattr(layer, HOOKS[1])
    return type(layer).forward is CORRELATED and not hooks


def _norms_behind(module: nn.Module) -> dict[int, nn.Module]:
    """By correlation, what may follow it directly: hints, since `normed` is told."""
    found = {}
    for part in module.modules():
        pairs = [(getattr(part, a, None), getattr(part, b, None)) for a, b in getattr(part, "in_turn", ())]
        pairs += pairwise(part) if type(part) is nn.Sequential else []
        found |= {id(a): b for a, b in pairs if isinstance(a, Correlation) and isinstance(b, PLAIN_NORMS)}
    return found


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """``module.train(mode)``, refused for True."""
    if mode:
        raise ValueError(
            f"this {type(module).__name__} is frozen: its filters are made, training would not change them; "
            "expected .eval(), or train the network that it was made of, and er.freeze it again"
        )
    return type(module).train(module, False)
