"""What a layer asks of a domain."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from erlangen.geometry import Geometry
from erlangen.groups import Fibre, Representation, determinant, regular, standard, traceless, trivial

Field = Literal["scalar", "regular", "vector", "spin2", "sign"]
Way = Literal["down", "up"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


@dataclass(frozen=True)
class KernelSpec:
    """What a layer asks of a domain: the fields, the kernel's reach and resolution, the grid's options.

    ``radius=0`` is a kernel at one point; ``depthwise`` one that does not mix along the fibre. Kernels all
    round the sphere have harmonics of ``l < degrees``, on whatever samples; None for those that these hold.
    """

    in_field: Field = "scalar"
    out_field: Field = "scalar"
    radius: float = 0.0
    rings: int = 1
    degrees: int | None = None
    band_in: int | None = None
    band_out: int | None = None
    depthwise: bool = False
    stride: int = 1
    padding: int | str = "same"
    dilation: int = 1
    padding_mode: str = "zeros"


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
