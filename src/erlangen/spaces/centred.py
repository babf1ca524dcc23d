"""Samples of R^n in rows of any length, centred at the origin: what photographs and volumes share."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.domains import Grid, Interpolation, Symmetry
from erlangen.domains.spec import Field
from erlangen.domains.symmetry import keeps_fibre, respected
from erlangen.geometry import Geometry
from erlangen.groups import Fibre
from erlangen.spaces.euclidean import Euclidean

KEPT = 4_000_000  # samples to read from that are remembered
PIECE = 1 << 21  # of them at a time
TAPS = 8  # of the interpolation, on each axis
ROUNDING = 1e-12  # of matrices that exchange axes


class CentredGrid(Grid):
    """A grid on R^n whose middle is the origin, one domain for fields of any size.

    Its own turns and mirrors, those that take samples to samples, exchange the axes of a field and reverse
    them; all other elements read between the samples.

    Args:
        geometry: R^n, as kernels see it.
        shape: the number of samples on each axis, or None for any.
        steps: ``(n, n)``, row i the step of array axis i in the components of frames.
        fibre: the samples of H for regular fields.
        options: the arguments that make the domain again, but for its shape.
    """

    def __init__(
        self,
        geometry: Geometry,
        shape: tuple[int, ...] | None,
        steps: Float[Tensor, "n n"],
        fibre: Fibre | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__(geometry, shape, steps, fibre=fibre)
        self._options = options
        self._readings: dict[tuple, tuple[Tensor, Tensor]] = {}

    def __repr__(self) -> str:
        told = [
            f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"
            for name, value in {**self._options, "shape": self.shape}.items()
            if value is not None and value is not False
        ]
        return f"{type(self).__name__}({', '.join(told)})"

    def __getattr__(self, name: str) -> NoReturn:
        # asked only of names that are not there
        kind = type(self).__name__
        here = f"{kind!r} object has no attribute {name!r}"
        if not name.startswith("_") and hasattr(Euclidean, name):
            there = f"er.{kind}().geometry.{name}"
            here += f": it is a domain, samples of a space; expected {there}, of the space"
        raise AttributeError(here, name=name, obj=self)

    def __reduce__(self) -> tuple:
        return _rebuild, (type(self), {**self._options, "shape": self.shape})

    @property
    def recipe(self) -> dict[str, Any]:
        """The arguments that make this domain again, as plain values."""
        return dict(self._options)

    def sized(self, shape: tuple[int, ...]) -> "CentredGrid":
        if self.shape is None:
            return type(self)(**{**self._options, "shape": shape})
        self.expect(shape)
        return self

    def coarser(self) -> Grid:
        """On fields of any size the coarser ones are such fields again, in their own samples."""
        return self if self.shape is None else super().coarser()

    @property
    def coordinate_steps(self) -> Float[Tensor, "n n"]:
        return self.steps @ self.geometry.frame(self.geometry.origin).mT

    @abstractmethod
    def symmetries(self) -> list[Symmetry]:
        """The lattice's own turns and mirrors, some angles in between, and shifts by whole samples."""

    def symmetry_of(self, g: Float[Tensor, "d d"], name: str = "g") -> Symmetry:
        """An element under a name; turns and mirrors of the lattice permute the samples of any size."""
        turn = g[: self.dim, : self.dim].to(torch.float64)
        permutes = self.axes_of(g) is not None and keeps_fibre(self.fibre, turn)
        return Symmetry(name, g, permutes, bool(respected(self.geometry.structure, self.fibre, turn)))

    def centre(self, field: Tensor) -> Bool[Tensor, "*space"]:
        """The ball inside, an eighth of the shortest side from the edge."""
        sides = [torch.arange(size).double() - (size - 1) / 2 for size in field.shape[-self.dim :]]
        index = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1)
        lengths = self.coordinate_steps.norm(dim=1)
        side = min(size * float(step) for size, step in zip(field.shape[-self.dim :], lengths, strict=True))
        r = (index @ self.coordinate_steps).norm(dim=-1)
        return (r <= 0.375 * side).to(field.device)

    def axes_of(self, g: Float[Tensor, "d d"]) -> list[tuple[int, bool]] | None:
        """For each axis of a moved field, the axis that it is read along, and whether backwards.

        None for an element that does not take samples to samples about the middle.
        """
        n, steps = self.dim, self.coordinate_steps
        if not bool((g[:n, n] == 0).all()):
            return None
        A = g[:n, :n].to(torch.float64)
        M = steps @ torch.linalg.inv(A).T @ torch.linalg.inv(steps)  # row a: where a step along a is read
        whole = M.round()
        if float((M - whole).abs().max()) > ROUNDING or not bool((whole.abs().sum(1) == 1).all()):
            return None
        along = whole.abs().argmax(1).tolist()
        return [(axis, bool(whole[a, axis] < 0)) for a, axis in enumerate(along)]

    def act(
        self,
        g: Tensor,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        r"""The field moved by an isometry: ``(g F)(u) = F(g^{-1} u)``.

        The lattice's own turns and mirrors permute the samples (and exchange the sizes of axes); every other
        one interpolates, with zeros beyond the edges.

        Args:
            g: ``[[A, b], [0, 1]]``, about the middle, in coordinates.
            f: ``(*batch, [fibre,] *space)``.
            field: its type.
            interpolation: how to read between the samples; None takes 8 samples on each axis.
        """
        n, g, rho = self.dim, g.to(torch.float64), self.representation(field)
        self.geometry.expect_symmetry(g)
        axes = self.axes_of(g)
        if axes is not None:
            moved = permuted(f, axes)
        else:
            table = f.reshape(-1, f.shape[-n:].numel()).T.contiguous()  # (samples, m)
            pieces = [
                F.embedding_bag(index.to(f.device), table, mode="sum", per_sample_weights=weight.to(f))
                for index, weight in self._read_from(g, tuple(f.shape[-n:]), interpolation)
            ]
            moved = torch.cat(pieces).T.reshape(f.shape)
        # the space is flat: every frame is turned by the same A, whatever the sample
        matrix = rho.matrix(g[:n, :n]).to(f)
        if not rho.has_axis:
            return moved * matrix[0, 0]
        last = moved.flatten(-n)
        return (matrix @ last).view(*last.shape[:-1], *moved.shape[-n:])

    def _read_from(
        self, g: Tensor, shape: tuple[int, ...], interpolation: Interpolation | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The samples and weights that ``g^{-1} x`` is read from, in pieces; the last few are remembered."""
        key = (tuple(g.flatten().tolist()), shape)
        if interpolation is None and key in self._readings:
            yield self._readings[key]
            return
        sized, n = self.sized(shape), self.dim
        inverse = torch.linalg.inv(g)
        points = sized.points.flatten(0, -2) @ inverse[:n, :n].T + inverse[:n, n]
        reading, count = interpolation or sized.interpolated(TAPS), len(points) * TAPS**n
        if interpolation is not None or count > KEPT:
            yield from map(reading.read, points.split(max(1, PIECE // TAPS**n)))
            return
        if sum(index.numel() for index, _ in self._readings.values()) > KEPT:
            self._readings.clear()
        self._readings[key] = reading.read(points)
        yield self._readings[key]


def permuted(f: Float[Tensor, "*batch_space"], axes: list[tuple[int, bool]]) -> Tensor:
    """The field whose axes are read along others, some backwards."""
    first = f.dim() - len(axes)
    f = f.permute(*range(first), *[first + axis for axis, _ in axes])
    backwards = [first + a for a, (_, reversed_) in enumerate(axes) if reversed_]
    return f.flip(backwards) if backwards else f


def cosine_and_sine(degrees: float) -> tuple[float, float]:
    """Of a turn; exact zeros and ones at those of a lattice."""
    quarters = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}
    angle = math.radians(degrees)
    return quarters.get(degrees % 360, (math.cos(angle), math.sin(angle)))


def _rebuild(kind: type[CentredGrid], options: dict[str, Any]) -> CentredGrid:
    return kind(**options)
