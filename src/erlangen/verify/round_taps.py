"""The taps of a lattice, averaged over all turns: what they would be if samples had no directions."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.engines import Engine, LatticeEngine, fold, unfold
from erlangen.engines.lattice import pad
from erlangen.kernels.directions import sphere_rule
from erlangen.nn import Correlation
from erlangen.verify.shifted_means import round_band, waves

DIRECTIONS, NODES = 32, 64  # in which symbols are averaged; wave numbers for each one that a sample resolves
WIDER = 6  # how much farther than the taps the averaged ones are let reach


class RoundTaps(Engine):
    r"""A `LatticeEngine` with symbols averaged over all turns: the nearest one that any turn commutes with.

    The taps of ``psi = R(|v|) Y_l(v / |v|)`` have the symbol ``S_c(k) = sum_j psi_c(x_j) exp(i k x_j) a``.
    Its equivariant part is ``p(|k|) Y_l(k / |k|)`` with ``p = mean over directions and c of S_c Y_c``: the
    same function of wave number in every direction. It is applied to the field's Fourier transform.

    Args:
        engine: without strides, on 2 axes or more.
    """

    def __init__(self, engine: LatticeEngine) -> None:
        self.engine, self.basis = engine, engine.basis
        self.rho_in, self.rho_out = engine.rho_in, engine.rho_out
        self.power, self.smoothness = engine.power, engine.smoothness
        self._symbols: dict[tuple[int, ...], Tensor] = {}

    @staticmethod
    def differs_from(engine: Engine) -> bool:
        """Whether an engine has taps that directions could change, and that can be averaged."""
        return isinstance(engine, LatticeEngine) and engine.stride == 1 and len(engine.periodic) > 1

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        x = fold(field, self.rho_in, groups)
        sizes = x.shape[2:]
        margins = self.engine.margins(sizes)
        x, before = self._surrounded(x, [WIDER * m for m in margins], groups)
        y = self._correlated(x, coefficients, groups)
        for axis, (start, size) in enumerate(zip(before, sizes, strict=True)):
            y = y.narrow(2 + axis, start, size)
        return unfold(y, self.rho_out, groups)

    def _surrounded(self, x: Tensor, widths: list[int], groups: int) -> tuple[Tensor, list[int]]:
        """What lies beyond the field, as the engine continues it, but for axes that close on themselves."""
        engine = self.engine
        closes = [p and engine.surround is None for p in engine.periodic]
        around = [w if p and not c else 0 for w, p, c in zip(widths, engine.periodic, closes, strict=True)]
        if any(around) and engine.surround is not None:
            x = engine.surround(x, around, groups)
        rest = [0 if p else w for w, p in zip(widths, engine.periodic, strict=True)]
        if any(rest):
            x = pad(x, rest, engine.modes)
        # an even axis has a wave that is its own mirror image, of which odd symbols keep nothing
        odd = [int(size % 2 == 0 and not c) for size, c in zip(x.shape[2:], closes, strict=True)]
        x = F.pad(x, [amount for one in reversed(odd) for amount in (0, one)])
        return x, [a + r for a, r in zip(around, rest, strict=True)]

    def _correlated(self, x: Tensor, coefficients: Tensor, groups: int) -> Tensor:
        """The sum over the functions of the basis of their symbol times what channels and fibre mix."""
        sizes, axes = x.shape[2:], tuple(range(2, x.dim()))
        symbols, mix = self._symbol(x), self.basis.mix.to(coefficients)
        if self.basis.is_diagonal:
            mix = torch.diag_embed(mix.diagonal(dim1=-2, dim2=-1))
        w = torch.einsum("gocb,baij->agiojc", coefficients.unflatten(0, (groups, -1)), mix)
        w = w.flatten(4).flatten(2, 3)  # (a, group, d_out out, d_in in)
        X = torch.fft.rfftn(x, dim=axes).unflatten(1, (groups, -1))
        rows = torch.view_as_real(X).flatten(3)  # (batch, group, d_in in, waves 2)
        y = sum(
            torch.view_as_complex((one @ rows).unflatten(-1, (-1, 2))) * s
            for one, s in zip(w, symbols, strict=True)
        )
        y = y.flatten(1, 2).unflatten(-1, X.shape[3:])  # type: ignore[union-attr]
        return torch.fft.irfftn(y, s=tuple(sizes), dim=axes)

    def _symbol(self, x: Tensor) -> Float[Tensor, "a waves"]:
        """Those of the basis, flattened, of fields of that size."""
        sizes = tuple(x.shape[2:])
        if sizes not in self._symbols:
            found = self._averaged(waves(sizes, self.engine.steps))
            # those of higher degree jump where the lattice takes one wave for another: they fall to zero
            band = round_band(sizes, self.engine.steps)[..., None]
            degrees = [degree for _, degree in self.basis.rings.terms]
            found = [s * band if degree else s for s, degree in zip(found, degrees, strict=True)]
            kept = _mirrored_once(sizes)[..., None]
            self._symbols[sizes] = (torch.cat(found, -1) * kept).flatten(0, -2).T  # (a, waves)
        return self._symbols[sizes].to(x.device, torch.promote_types(x.dtype, torch.complex64))

    def _averaged(self, k: Float[Tensor, "*waves n"]) -> list[Tensor]:
        """``p(|k|) Y_l(k / |k|)`` of each ring and degree, ``(*waves, c)``, read between nodes in |k|."""
        rings, length = self.basis.rings, k.norm(dim=-1)
        toward, share = sphere_rule(k.shape[-1], DIRECTIONS)
        most = max(float(length.max()), 1e-9)
        nodes = torch.linspace(0, most, 2 + math.ceil(NODES * most * rings.radius / math.pi)).double()
        taps, x = self._taps()
        S = torch.einsum("rqj,ja->rqa", torch.exp(1j * torch.einsum("r,qn,jn->rqj", nodes, toward, x)), taps)
        position = (length / nodes[1]).clamp(max=len(nodes) - 1 - 1e-9)
        below = position.long()
        found, a = [], 0
        for _, degree in rings.terms:
            Y = rings.angular(degree, toward)  # (q, c), with mean square 1
            count = Y.shape[-1]
            p = torch.einsum("rqc,q,qc->r", S[..., a : a + count], share.to(S), Y.to(S)) / count
            between = torch.lerp(p[below], p[below + 1], (position - below).to(p))
            found.append(between[..., None] * rings.angular(degree, k))
            a += count
        return found

    def _taps(self) -> tuple[Tensor, Tensor]:
        """The functions of the basis at the kernel's nodes, ``(j, a)``, and where these lie, ``(j, n)``."""
        engine, n = self.engine, len(self.engine.steps)
        sizes = [2 * m + 1 for m in self._half_widths()]
        axes = [torch.arange(size).double() - size // 2 for size in sizes]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(-1, n) @ engine.steps
        values = self.basis.scalars(offsets) * engine.volume
        return values.to(torch.complex128), (engine.dilation * offsets)

    def _half_widths(self) -> list[int]:
        inverse = torch.linalg.inv(self.engine.steps)
        return [
            math.ceil(self.basis.rings.radius * float(inverse[:, i].norm()) - 1e-9) - 1
            for i in range(len(inverse))
        ]


def _mirrored_once(sizes: tuple[int, ...]) -> Bool[Tensor, "*waves"]:
    """All waves but the shortest of even axes, which are their own mirror images."""
    counts = [*sizes[:-1], sizes[-1] // 2 + 1]
    lines = [2 * torch.arange(count) != size for count, size in zip(counts, sizes, strict=True)]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")).all(0)


def with_round_taps(layer: Correlation) -> "RoundCorrelation | None":
    """What a layer would do if its taps had no directions; None where they have none."""
    engine = layer.domain.engine(layer.spec, layer.to_domain)
    return RoundCorrelation(layer, RoundTaps(engine)) if RoundTaps.differs_from(engine) else None  # type: ignore[arg-type]


class RoundCorrelation:
    """The forward of a correlation, by another engine."""

    def __init__(self, layer: Correlation, engine: RoundTaps) -> None:
        self.layer, self.engine = layer, engine

    def __call__(self, field: Tensor) -> Tensor:
        layer, groups = self.layer, self.layer.groups
        if layer.separable:
            field = layer.domain.engine(layer.mixing_spec).apply(field, layer.mixing, groups)
            groups = layer.out_channels
        field = self.engine.apply(field, layer.weight, groups)
        return layer.domain.hide(field if layer.bias is None else layer.domain.add(field, layer.bias))
