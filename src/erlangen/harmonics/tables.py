"""The matrices of the transform over theta: a triangle of degrees, in blocks of orders, made once."""

import numpy as np

from erlangen.harmonics.wigner import columns

NOTHING = 1e-25  # what is smaller adds nothing, and products beyond the range of floats are slow
BLOCKS, SMALLEST = 8, 32  # blocks of orders, and the fewest orders in one


def orders_of_blocks(degrees: int) -> list[tuple[int, int]]:
    """Blocks [m0, m1) of orders, m0 even; the degrees of a block begin at m0."""
    size = max(SMALLEST, -(-degrees // BLOCKS))
    size += size % 2
    return [(m0, min(m0 + size, degrees)) for m0 in range(0, degrees, size)]


def parity(m: int, group: int) -> int:
    """Whether the degrees of a group of rows are even (0) or odd (1)."""
    return (m + group) % 2


def parity_tables(theta: np.ndarray, degrees: int, folded: np.ndarray | None = None) -> list[np.ndarray]:
    r"""The functions w_lm = w^0_lm of `wigner`, on the northern rings.

    ``w_lm(pi - theta) = (-1)^{l + m} w_lm(theta)``: sums over all rings are sums over half of them, with the
    field's even part at the equator if l + m is even, else with its odd part.

    Args:
        theta: all rings.
        degrees: the bandwidth.
        folded: ``(2, j, j)``, symmetric matrices Q for m even and odd, to fold ``w Q`` into the table.

    Returns:
        For each block of orders ``(2 m, r, half)``: for each m the rows that meet the even part, then those
        that meet the odd part; row r is the degree ``m0 + parity + 2 r``.
    """
    half = (len(theta) + 1) // 2
    tables = []
    for m0, m1 in orders_of_blocks(degrees):
        w = _columns(theta if folded is not None else theta[:half], degrees, m0, m1, 0, folded)
        rows = -(-(degrees - m0) // 2)
        table = np.zeros((m1 - m0, 2, rows, half))
        for m in range(m1 - m0):
            for group in range(2):
                found = w[m, parity(m, group) :: 2, :half]
                table[m, group, : len(found)] = found
        tables.append(table.reshape(-1, rows, half))
    return tables


def spin_tables(
    theta: np.ndarray, degrees: int, n: int, folded: np.ndarray | None = None
) -> list[np.ndarray]:
    r"""The functions w^n_lm of `wigner` on all rings, for each block of orders ``(m, l, j)``, l from m0 on.

    They serve -n as well: ``w^{-n}_lm(theta) = (-1)^{l + m} w^n_lm(pi - theta)``. Arguments as in
    `parity_tables`, Q for m + n even and odd.
    """
    return [_columns(theta, degrees, m0, m1, n, folded) for m0, m1 in orders_of_blocks(degrees)]


def _columns(
    theta: np.ndarray, degrees: int, m0: int, m1: int, n: int, folded: np.ndarray | None
) -> np.ndarray:
    w = columns(theta, degrees, range(m0, m1), n)[:, m0:]
    if folded is not None:
        w = np.stack([w[i] @ folded[(m + n) % 2] for i, m in enumerate(range(m0, m1))])
    w[np.abs(w) < NOTHING] = 0
    return w
