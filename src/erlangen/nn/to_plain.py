"""A network on a lattice as an ordinary module of torch, which runs where there is no erlangen."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from erlangen.domains.grid import Grid
from erlangen.engines import Filters, Halving, LatticeEngine, PointEngine
from erlangen.nn import plain_layers as plain
from erlangen.nn.correlation import Correlation
from erlangen.nn.equivariant import Equivariant
from erlangen.nn.freeze import CHILDREN, freeze
from erlangen.nn.frozen import FrozenCorrelation, line_of
from erlangen.nn.nonlinearity import Gated, Pointwise, Polynomial
from erlangen.nn.norm import Norm
from erlangen.nn.project import GlobalPool, Project
from erlangen.nn.resample import Down, Pool, Up


def to_plain(module: nn.Module) -> fx.GraphModule:
    r"""The network as an ordinary module: convolutions and a few other operations of torch, without erlangen.

    A `torch.fx.GraphModule` of `torch.nn.Conv2d` and functions of torch, with the same answers to rounding at
    every size, odd or even, that the network takes. It can be pickled and saved by ``torch.save``, read by
    ``torch.load`` where erlangen is not installed, moved, cast, compiled, looked at (``plain.code``), written
    as source (``plain.to_folder``). Norms are folded in as by `er.freeze`.

    Its filters are parameters, and may be trained further; but nothing ties them to each other any more:
    trained, it is no longer equivariant.

    Args:
        module: layers of the library and of torch, on `er.Plane` and other flat grids whose axes end or close
            by shifts; between them whatever `torch.fx` can trace.

    Raises:
        ValueError: for layers on other spaces, masked domains, strides, exact_shifts, and forwards that
            cannot be traced; each is named.

    Example:
        >>> import torch, erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=4), 3, 1, width=2, depth=1).eval()
        >>> plain, x = er.to_plain(net), torch.randn(1, 3, 17, 12)
        >>> bool((plain(x) - net(x)).abs().max() < 1e-5)
        True
    """
    with torch.inference_mode(False), torch.no_grad():
        whole = _replaced(freeze(module), {})
        own = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
        return _traced(whole, type(module).__name__).to(own)


class _Tracer(fx.Tracer):
    """Follows everything but torch's own layers; tables are asked of the module at each call."""

    proxy_buffer_attributes = True


def _traced(whole: nn.Module, name: str) -> fx.GraphModule:
    try:
        found = _Tracer().trace(whole)
    except (fx.proxy.TraceError, TypeError) as error:  # type: ignore[attr-defined]
        raise ValueError(
            f"the forward of this {name} cannot be traced ({error}), expected one without questions about "
            "values and sizes; trace the parts that have none, er.to_plain(net.part), or export "
            "er.freeze(net) by torch.export"
        ) from error
    graph = fx.Graph()  # of no tracer, which would be asked for where it is read
    graph.output(graph.graph_copy(found, {}))
    for node in graph.nodes:
        node.type, node.meta = None, {}
    made = fx.GraphModule(whole, graph, name)
    made.graph.eliminate_dead_code()
    made.delete_all_unused_submodules()
    made.recompile()
    for part in made.modules():
        if "train" in vars(part):  # a frozen copy's
            del part.train
    return made.requires_grad_(True).eval()


def _replaced(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    """The module, its layers in torch's own words."""
    if id(module) not in done:
        twin = next((make for kind, make in PLAIN.items() if isinstance(module, kind)), None)
        if twin is not None:
            done[id(module)] = twin(module, done)
        elif isinstance(module, Equivariant) and not CHILDREN(module):
            raise ValueError(
                f"{module} has no plain form, expected one of {', '.join(k.__name__ for k in PLAIN)}"
            )
        else:
            done[id(module)] = module
            for name, child in list(CHILDREN(module).items()):
                if child is not None:
                    setattr(module, name, _replaced(child, done))
    return done[id(module)]


def _lattice(layer: Any) -> Grid:
    """The domain of a layer, which has to be a lattice without seams that turn frames."""
    domain, name = layer.domain, type(layer).__name__.removeprefix("Frozen")
    halves = type(getattr(domain, "halving", None)) is Halving
    turned = (
        isinstance(domain, Grid) and domain.beyond(domain.representation(domain.default_field)) is not None
    )
    if not isinstance(domain, Grid) or domain.is_skew or turned or not halves:
        raise ValueError(
            f"{name} lives on {domain}, where there are no plain convolutions, expected a "
            "lattice that ends or closes by shifts, such as er.Plane(); er.freeze takes every space"
        )
    if domain.default_field == "regular" and domain.representation("regular").blocks:
        raise ValueError(
            f"{name} lives on {domain}, where regular fields are held by coefficients, expected ones held by "
            'values, such as er.Volume(rotations="cube"); er.freeze takes every space'
        )
    return domain


def _correlated(layer: Correlation, done: dict[int, nn.Module]) -> nn.Module:
    _lattice(layer)
    if not isinstance(layer, FrozenCorrelation) or layer.to_domain is not None or layer.spec.stride != 1:
        raise ValueError(
            f"{layer} has no plain form, expected one of er.nn.Correlation's own forward, with stride=1 and "
            "to=None; go down by er.nn.Down"
        )
    partner = tuple(_replaced(norm, done) for norm in layer.partner)
    return plain.Correlated(
        _convolutions(layer, layer.made()),
        _convolutions(layer, layer.made(layer.partner[0])) if partner else None,
        partner,
    )


def _convolutions(layer: FrozenCorrelation, made: tuple[Filters, Filters, Any]) -> nn.Module:
    mixed, moved, _ = made  # lattices add a bias on the way
    specs = [layer.mixing_spec, layer.spec] if layer.separable else [layer.spec]
    filters = [mixed, moved] if layer.separable else [moved]
    groups = [layer.groups, layer.out_channels] if layer.separable else [layer.groups]
    parts = []
    for spec, one, count in zip(specs, filters, groups, strict=True):
        engine = layer.domain.engine(spec)
        parts.append(_convolution(layer, engine, one, count))
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _convolution(layer: FrozenCorrelation, engine: Any, filters: Filters, groups: int) -> nn.Module:
    tensor, n = filters.tensors[0], layer.domain.dim
    of_all, padding, modes, dilation = groups, [0] * n, ["zeros"] * n, 1
    if type(engine) is LatticeEngine:
        padding, modes, dilation = engine.margins([1] * n), engine.modes, engine.dilation
        if engine.basis.is_diagonal:  # each channel and fibre value by itself
            groups, of_all = 1, len(tensor)
    elif type(engine) is PointEngine:
        tensor = tensor[(...,) + (None,) * n]
    else:
        raise ValueError(
            f"{layer} is computed by a {type(engine).__name__}, expected the lattice's own engine"
        )
    return plain.Convolution(
        tensor, filters.bias, (groups, of_all), padding, modes, dilation, engine.rho_in, engine.rho_out
    )


def _normed(norm: Norm, done: dict[int, nn.Module]) -> nn.Module:
    _lattice(norm)
    if norm.running_var is None:
        raise ValueError(f"{norm} takes the statistics of each batch, expected track_running_stats=True")
    scale, shift = line_of(norm)
    axes, _ = norm.domain.layout(norm.field)
    return plain.Line(scale, shift, axes)


def _matrices(layer: Any, oversampling: float) -> tuple[Tensor, Tensor] | None:
    """To the finer samples of the fibre and back."""
    finer = layer.domain.finer(layer.domain.representation("regular"), oversampling)
    if finer is None:
        return None
    N, shape = len(layer.domain.fibre), (1,) * layer.domain.space_axes
    up = finer.up(torch.eye(N, dtype=torch.float64).view(1, N, N, *shape)).view(N, -1)  # (from, to)
    k = up.shape[1]
    down = finer.down(torch.eye(k, dtype=torch.float64).view(1, k, k, *shape)).view(k, N)
    return up.T.contiguous(), down.T.contiguous()


def _pointwise(layer: Pointwise, done: dict[int, nn.Module]) -> nn.Module:
    _lattice(layer)
    axes, parts = layer.domain.layout(layer.field)
    function: Callable[[Tensor], Tensor] = layer.function
    if isinstance(layer, Polynomial):
        function = plain.Powers(layer.weight, axes)
    found = _matrices(layer, layer.oversampling) if parts is not None else None
    twin: nn.Module = plain.Finer(function, found)
    limit = getattr(layer, "limit", None)
    return twin if limit is None else plain.Limited(limit, axes, twin)


def _gated(layer: Gated, done: dict[int, nn.Module]) -> nn.Module:
    if layer.low_pass:
        raise ValueError("low_pass=True looks at a smoothed field, expected low_pass=False")
    axes, _ = _lattice(layer).layout(layer.field)
    return plain.Gate(layer.weight, axes, layer.rho)


def _closing(layer: Any, circular: bool) -> list[bool]:
    domain = _lattice(layer)
    if circular and domain.shape is None:
        raise ValueError(
            f"{type(layer).__name__} takes images as periodic where sizes are even, expected "
            'padding_mode="zeros"'
        )
    return [closes or circular for closes in domain.closed]


def _expect_gaussian(layer: Down | Up) -> None:
    if layer.resampling != "gaussian":
        raise ValueError(f'resampling="{layer.resampling}" has no twin, expected resampling="gaussian"')


def _down(layer: Down, done: dict[int, nn.Module]) -> nn.Module:
    if layer.exact_shifts:
        raise ValueError("exact_shifts=True chooses by what it sees, expected exact_shifts=False")
    _expect_gaussian(layer)
    return plain.Halved(layer.rho, _closing(layer, layer.circular), torch.zeros((), dtype=torch.float64))


def _pool(layer: Pool, done: dict[int, nn.Module]) -> nn.Module:
    down = _down(layer.down, done)
    if layer.reduction == "mean":
        return down
    return nn.Sequential(plain.Largest(layer.down.rho, _closing(layer, layer.down.circular)), down)


def _up(layer: Up, done: dict[int, nn.Module]) -> nn.Module:
    _expect_gaussian(layer)
    return plain.Doubled(layer.rho, _closing(layer, layer.circular))


def _project(layer: Project, done: dict[int, nn.Module]) -> nn.Module:
    _lattice(layer)
    found = _matrices(layer, layer.oversampling) if layer.reduction == "max" else None
    return plain.AlongFibre(layer.reduction, found and found[0])


def _global(layer: GlobalPool, done: dict[int, nn.Module]) -> nn.Module:
    _lattice(layer)
    return plain.OverSpace(layer.reduction)


PLAIN: dict[type, Callable[[Any, dict[int, nn.Module]], nn.Module]] = {
    Correlation: _correlated,
    Norm: _normed,
    Pointwise: _pointwise,
    Gated: _gated,
    Down: _down,
    Pool: _pool,
    Up: _up,
    Project: _project,
    GlobalPool: _global,
}
