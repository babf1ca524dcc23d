"""The entries of a correlation between samples."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Stencil:
    r"""The sum ``(k * f)(p) = sum_e a_e K(v_e) rho_in(h_e)^{-1} f(q_e)`` over the entries e of each p.

    Attributes:
        row: p_e, the sample that receives, sorted.
        column: q_e, the sample that gives.
        v: ``(j, n)``, where the kernel is evaluated, in components of the frame s(p); j = e without `node`.
        h: ``(e, n, n)``, with ``carry(s(p), v) = s(q) h``; None where only scalars come in.
        a: ``(e,)``, the measure.
        rows: the number of samples that receive.
        columns: the number that give.
        node: ``(e,)``, where many entries share a v: the row of v of each; None, each has its own.
    """

    row: Int[Tensor, "e"]
    column: Int[Tensor, "e"]
    v: Float[Tensor, "j n"]
    h: Float[Tensor, "e n n"] | None
    a: Float[Tensor, "e"]
    rows: int
    columns: int
    node: Int[Tensor, "e"] | None = None
