"""The matrices of the transform over theta: half the rings, a triangle of degrees, made once."""

import numpy as np

from erlangen.harmonics.wigner import columns

NOTHING = 1e-25  # what is smaller adds nothing, and products beyond the range of floats are slow
BLOCKS, SMALLEST = 8, 32  # blocks of orders, and the fewest orders in one


def orders_of_blocks(degrees: int) -> list[tuple[int, int]]:
    """Blocks [m0, m1) of orders, m0 even; the degrees of a block begin at m0."""
    size = max(SMALLEST, -(-degrees // BLOCKS))
    size += size % 2
    return [(m0, min(m0 + size, degrees)) for m0 in range(0, degrees, size)]


def parity(m: int, group: int, mirror: int) -> int:
    """Whether the degrees of a group of rows are even (0) or odd (1)."""
    return (m + group + mirror) % 2


def parity_tables(
    theta: np.ndarray, degrees: int, n: int, mirror: int, folded: np.ndarray | None = None
) -> list[np.ndarray]:
    r"""The functions ``W_l = (w^n_lm + (-1)^mirror w^{-n}_lm) / 2`` of `wigner`, on the northern rings.

    Since ``w^n_lm(pi - theta) = (-1)^{l + m} w^{-n}_lm(theta)``, W is even at the equator if l + m + mirror
    is even, else odd: sums over all rings are sums over half of them, with the field's even or odd part.
    For n = 0 (mirror = 0) W is w.

    Args:
        theta: all rings.
        folded: ``(2, j, j)``, symmetric matrices Q for m + n even and odd, to fold ``W Q`` into the table.

    Returns:
        For each block of orders ``(2 m, r, half)``: for each m the rows that meet the even part, then those
        that meet the odd part; row r is the degree ``m0 + parity + 2 r``.
    """
    half = (len(theta) + 1) // 2
    theta = theta if folded is not None else theta[:half]
    tables = []
    for m0, m1 in orders_of_blocks(degrees):
        orders = list(range(m0, m1))
        w = columns(theta, degrees, orders, n)
        if n:
            w = (w + (-1) ** mirror * columns(theta, degrees, orders, -n)) / 2
        if folded is not None:
            w = np.stack([w[i] @ folded[(m + n) % 2, :, :half] for i, m in enumerate(orders)])
        rows = -(-(degrees - m0) // 2)
        table = np.zeros((m1 - m0, 2, rows, half))
        for i, m in enumerate(orders):
            for group in range(2):
                found = w[i, m0 + parity(m, group, mirror) :: 2]
                table[i, group, : len(found)] = found
        table[np.abs(table) < NOTHING] = 0
        tables.append(table.reshape(-1, rows, half))
    return tables
