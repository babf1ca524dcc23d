"""What a layer asks of a domain."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from erlangen import kernels
from erlangen.geometry import Geometry
from erlangen.groups import Fibre, Representation, determinant, regular, standard, traceless, trivial

Field = Literal["scalar", "regular", "vector", "spin2", "sign"]
Taps = Literal["rings", "solved", "smooth"]
MaskBoundary = Literal["zero", "renormalize"]
Way = Literal["down", "up"]
Resampling = Literal["gaussian", "band-limited"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Build = Callable[[Any, Any, Any], Any]  # of a domain, a basis of kernels and a KernelSpec: the engine


@dataclass(frozen=True)
class KernelSpec:
    """What a layer asks of a domain: the fields, the kernel's reach and resolution, the grid's options.

    ``radius=0`` is a kernel at one point, ``math.inf`` one that reaches round the whole space, with harmonics
    of ``l < degrees``, on whatever samples (None for those that these hold); ``depthwise`` one that does not
    mix along the fibre. `taps` names the radial functions: "rings" (`Rings`) or "solved" (`Solved`); `degree`
    is the highest degree of the latter, None for all. `engine` names one of the domain's own, or is what
    builds one; None leaves the choice to the domain.
    """

    in_field: Field = "scalar"
    out_field: Field = "scalar"
    radius: float = 0.0
    rings: int = 1
    taps: Taps = "rings"
    degree: int | None = None
    degrees: int | None = None
    band_in: int | None = None
    band_out: int | None = None
    depthwise: bool = False
    stride: int = 1
    padding: int | str = "same"
    dilation: int = 1
    padding_mode: str = "zeros"
    engine: str | Build | None = None

    @property
    def is_global(self) -> bool:
        """Whether the kernel reaches round the whole space."""
        return math.isinf(self.radius)

    def polar(self, n: int) -> kernels.Polar:
        """The functions of distance and direction that kernels on R^n are made of."""
        radius = self.radius or 1.0  # at one point any has the same value
        if self.taps == "rings" or self.radius == 0 or self.is_global:
            return kernels.Rings(n, radius, self.rings)
        return family(self.taps)(n, radius, self.rings, self.degree)

    @property
    def is_plain(self) -> bool:
        """Whether it asks for none of the options that only a lattice has."""
        options = self.stride, self.padding, self.dilation, self.padding_mode
        return options == (1, "same", 1, "zeros")


def family(taps: Taps) -> type["kernels.Solved | kernels.Smooth"]:
    """The kernels of a lattice behind the name of their taps; loaded where a layer asks for them."""
    return kernels.Solved if taps == "solved" else kernels.Smooth


def representation_of(field: Field, geometry: Geometry, fibre: Fibre | None) -> Representation:
    """The representation of H behind a field's name."""
    if field == "regular":
        if fibre is None:
            raise ValueError(
                f"a regular field needs samples of H = {geometry.structure}, but this domain has "
                f"no fibre; {geometry.lifting}stay with scalar fields"
            )
        return regular(fibre)
    makers = {"scalar": trivial, "vector": partial(standard, geometry.dim), "sign": determinant}
    makers |= {"spin2": traceless} if geometry.dim == 2 else {}
    if field not in makers:
        raise ValueError(f"field is {field!r}, expected one of {', '.join(['regular', *makers])}")
    return makers[field]()
