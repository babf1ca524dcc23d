"""What every layer says of itself, and the same layer elsewhere."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any
from weakref import finalize, ref

import torch
from torch import nn

from erlangen.arguments import checked
from erlangen.domains import Domain, KernelSpec
from erlangen.domains.refusals import expect_one_kind


class Equivariant(nn.Module):
    """A layer on a domain, or from one to another, that knows what it commutes with."""

    domain: Domain
    to_domain: Domain | None = None
    spec = KernelSpec()  # of layers without a kernel: one at each point, between scalars

    @property
    def equivariant_to(self) -> str:
        """The name of the group that the layer commutes with."""
        return self.domain.equivariant_to(self.spec, self.to_domain)

    def on(self, domain: Domain, *, to: Domain | None = None) -> nn.Module:
        """The same layer or network on another domain, with the same parameters: `er.on`."""
        return on(self, domain, to=to)

    def prepare(self) -> None:
        """Make what a call takes from the domain, or refuse what it does not have."""

    def of_channels(self, rows: slice) -> nn.Module | None:
        """The layer on some of the channels, for one call on a field that nobody else holds.

        None for a layer that mixes channels, or that is another one today than it will be, such as a norm in
        training.
        """
        return None

    def cut(self, rows: slice, axes: Mapping[str, int], **changed: Any) -> nn.Module | None:
        """A layer of the same class and attributes, some tensors of it cut to those rows.

        Args:
            axes: the axis of each; None is left out.
            changed: attributes of other values.
        """
        kinds = {kind: dict(vars(self)[kind]) for kind in ("_parameters", "_buffers")}
        for name, axis in axes.items():
            if getattr(self, name) is None:
                continue
            held = next((tensors for tensors in kinds.values() if name in tensors), None)
            if held is None:  # a weight that is made of others
                return None
            held[name] = held[name].detach()[(slice(None),) * axis + (rows,)]
        return _with_state(type(self), {**vars(self), **kinds, **changed})

    def __dir__(self) -> list[str]:
        """Without properties that refuse: `torch.jit.trace` reads all that is listed."""
        return [name for name in super().__dir__() if not _is_refused(self, name)]


def _is_refused(layer: nn.Module, name: str) -> bool:
    if isinstance(getattr(type(layer), name, None), property):
        try:
            getattr(layer, name)
        except ValueError:
            return True
    return False


def on(module: nn.Module, domain: Domain, *, to: Domain | None = None) -> nn.Module:
    r"""The same network on another domain of its kind: finer, of other size, masked.

    Parameters, buffers, mode and hooks are those of the module, by identity: whoever trains, loads, casts or
    changes one does it to both. Kernels are functions of the components v of tangent vectors, in the units of
    the space, and of degrees; on finer samples the same kernel is summed, and outputs converge.

    Only the domains are others: what lives on the module's k-th coarser domain goes to the k-th coarser one
    of the given domain, in every layer, and in every attribute that is a domain. Asked for again, it is the
    same object, as long as module and domain live; so it may be asked for inside a forward, compiled or
    distributed as well. A copy or a pickle of it is one of the module, seen from there.

    Args:
        module: with layers on one domain, and on its coarser ones.
        domain: where its inputs shall live; H and the fibre are those of the module's.
        to: where layers with another ``to=`` than those lead.

    Raises:
        ValueError: for another structure group or fibre, kernels that the samples cannot carry, a layer that
            lives elsewhere, a module whose forward was replaced, as `torch.compile` does; each is named.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.FlatTorus((1.0, 1.0)).grid(16, 16), 1, 1, width=2, depth=1)
        >>> fine = er.on(net, er.FlatTorus((1.0, 1.0)).grid(32, 32))
        >>> fine(torch.randn(1, 1, 32, 32)).shape, fine.head.weight is net.head.weight
        (torch.Size([1, 1, 32, 32]), True)
    """
    module = _behind(module) if isinstance(module, View) else module
    last = domain if to is None else to
    if isinstance(last, Domain) and id(module) in last.views:
        found = last.views[id(module)]
        if found is None:
            return module
        if found.view_place.ends == (domain, to) and found.view_class is type(module):
            return found
    return _uncompiled(_on, module, domain, to)


class View:
    """A module seen from elsewhere: one ``__dict__`` with the module itself, so that nothing of it gets old.

    Put before the module's own class by `_class_of`, whose slots hold what is different: the domains, and who
    is asked for the children. Names are none that a module would have.

    Attributes:
        view_class: that of the module.
        view_place: who is asked for the children.
        view_whole: the module; whoever holds the view only, holds its state.
        view_domains: instead of those of the module, by the names of its attributes.
    """

    view_class: type
    view_place: "Place"
    view_whole: "ref[nn.Module]"
    view_domains: dict[str, Domain]

    @property
    def _modules(self) -> Mapping[str, nn.Module | None]:
        children = self.__dict__["_modules"].items()
        return MappingProxyType({n: c if c is None else self.view_place.seen(c) for n, c in children})

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)  # type: ignore[misc]
        return self.view_place.seen(found) if isinstance(found, nn.Module) else found

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return _seen, (self.view_place, _behind(self))


class Place:
    """Where domains go: one and its coarser ones to another and its coarser ones.

    Args:
        pairs: of a domain and where it goes.
    """

    def __init__(self, *pairs: tuple[Domain, Domain]) -> None:
        for one, other in pairs:
            expect_one_kind(one, other)
        self.pairs = pairs
        self._levels = [[pair] for pair in pairs]  # as far down as was asked
        # by id: what is compiled finds them again, whatever else comes and goes
        self._views: dict[int, Any] = {}

    def __reduce__(self) -> tuple:
        return Place, self.pairs

    @property
    def ends(self) -> tuple[Domain, Domain | None]:
        """Where the first domain goes, and the second if there is one."""
        return self.pairs[0][1], self.pairs[1][1] if len(self.pairs) > 1 else None

    def find(self, here: Domain) -> Domain | None:
        """Where a domain goes; None for one that is none of those, nor coarser."""
        return next((found for levels in self._levels if (found := _below(levels, here)) is not None), None)

    def seen(self, module: nn.Module) -> nn.Module:
        """The module from here; made once."""
        if isinstance(module, View):
            return module
        view = self._views.get(id(module))
        if view is not None and view.view_class is type(module):
            return view
        return _uncompiled(self._make, module)

    def forget(self, key: int) -> None:
        """A module is gone, and its id may come again."""
        self._views.pop(key, None)
        self.pairs[-1][1].views.pop(key, None)

    def _make(self, module: nn.Module) -> nn.Module:
        if "forward" in vars(module):
            raise ValueError(
                f"the forward of this {type(module).__name__} was replaced by another one, which stays where "
                "it is, expected a module as its class has it; compile after the move: "
                "torch.compile(er.on(net, domain))"
            )
        domains = {name: self._there(d) for name, d in _domains_of(module).items()}
        view = _with_state(_class_of(type(module), tuple(domains)), vars(module))
        whole = ref(module, partial(_forget, ref(self), id(module)))
        slots = {"view_place": self, "view_whole": whole, "view_domains": domains}
        for name, value in (slots | {"_compiled_call_impl": None}).items():
            object.__setattr__(view, name, value)
        if isinstance(view, Equivariant):
            view.prepare()
        self._views[id(module)] = view
        return view

    def _there(self, here: Domain) -> Domain:
        found = self.find(here)
        if found is None:
            raise ValueError(
                f"a layer lives on {here}, which is not {self.pairs[0][0]} nor one of its coarser domains; "
                "expected a module on one domain, or to= for where its layers lead"
            )
        return found


def _uncompiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """A call that `torch.compile` makes outside of its graph; where nobody compiles, its import is saved."""
    if "torch._dynamo" in sys.modules:
        function = torch.compiler.disable(function)
    return function(*arguments)


@checked
def _on(module: nn.Module, domain: Domain, to: Domain | None) -> nn.Module:
    lived = [d for part in module.modules() for d in _domains_of(part).values()]
    if not lived:
        raise ValueError(f"no layer of {type(module).__name__} has a domain, expected one at least")
    home = _finest(lived)
    place = Place((home, domain))
    others = [d for d in lived if place.find(d) is None]
    if to is not None:
        if not others:
            raise ValueError(f"to is {to}, but no layer leads beyond {home}; expected to=None")
        place = Place((home, domain), (_finest(others), to))
    if home is domain and (to is None or to in others):
        domain.views[id(module)] = None
        finalize(module, _stays, ref(domain), id(module))
        return module
    view = place.seen(module)
    for _ in view.modules():  # refusals come now
        pass
    (domain if to is None else to).views[id(module)] = view
    return view


def _stays(domain: "ref[Domain]", key: int) -> None:
    """A module that was asked for at home is gone."""
    home = domain()
    if home is not None:
        home.views.pop(key, None)


def _forget(place: "ref[Place]", key: int, module: Any) -> None:
    """`Place.forget`, as long as there is one."""
    found = place()
    if found is not None:
        found.forget(key)


def _behind(view: Any) -> nn.Module:
    """The module of a view; where nobody holds it any more, another one of the same state."""
    return view.view_whole() or _with_state(view.view_class, vars(view))


def _below(levels: list[tuple[Domain, Domain]], here: Domain) -> Domain | None:
    """Where one of some levels goes, which are continued as long as they are finer."""
    if not levels[0][0].geometry.is_same(here.geometry):
        return None
    while not any(one.is_same(here) for one, _ in levels):
        one, other = levels[-1]
        if _size(here) >= _size(one):
            return None
        levels.append((one.coarser(), other.coarser()))
    return next(other for one, other in levels if one.is_same(here))


def _finest(domains: Iterable[Domain]) -> Domain:
    """That of most samples, of the space of the first."""
    first, *others = domains
    return max([first, *(d for d in others if d.geometry.is_same(first.geometry))], key=_size)


def _size(domain: Domain) -> float:
    return math.inf if domain.shape is None else math.prod(domain.shape)


def _domains_of(module: nn.Module) -> dict[str, Domain]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Domain)}


@cache
def _class_of(of: type, domains: tuple[str, ...]) -> type:
    """The class of views of a class, of which some attributes are domains."""
    slots = "view_place", "view_whole", "view_domains", "_compiled_call_impl"
    named = {"__module__": of.__module__, "__qualname__": of.__qualname__, "__doc__": of.__doc__}
    # properties, since these come before what stands in __dict__, for what is compiled as well
    moved = {name: property(_domain_getter(name)) for name in domains}
    return type(of.__name__, (View, of), {"__slots__": slots, "view_class": of, **named, **moved})


def _domain_getter(name: str) -> Callable[[Any], Domain]:
    return lambda view: view.view_domains[name]


def _with_state(of: type, state: dict[str, Any]) -> nn.Module:
    """A module of a class, with the state of another: the very dictionary."""
    module: nn.Module = of.__new__(of)  # type: ignore[call-overload]
    object.__setattr__(module, "__dict__", state)
    return module


def _seen(place: Place, module: nn.Module) -> nn.Module:
    return place.seen(module)
