"""What a layer asks of a domain."""

from dataclasses import dataclass
from typing import Literal

Field = Literal["scalar", "regular", "vector", "spin2", "sign"]
Way = Literal["down", "up"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


@dataclass(frozen=True)
class KernelSpec:
    """What a layer asks of a domain: the fields, the kernel's reach and resolution, the grid's options.

    ``radius=0`` is a kernel at one point; ``depthwise`` one that does not mix along the fibre.
    """

    in_field: Field = "scalar"
    out_field: Field = "scalar"
    radius: float = 0.0
    rings: int = 1
    band_in: int | None = None
    band_out: int | None = None
    depthwise: bool = False
    stride: int = 1
    padding: int | str = "same"
    dilation: int = 1
    padding_mode: str = "zeros"
