"""Wigner's functions of the second Euler angle, one recursion for all: Legendre, spin-weighted, SO(3).

In numpy, so that whoever traces or compiles a layer never sees a table being made.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

UNIT = 200  # exponents are kept in multiples of this power of two
EVERY = 8  # steps between looks at the exponents; one step grows a value by less than 2^20


def wigner(
    theta: Float[Tensor, "j"], degrees: int, orders: Sequence[int], n: int
) -> Float[Tensor, "m degrees j"]:
    r"""``sqrt((2l + 1) / 4 pi) d^l_mn(theta)`` for all l < degrees, one column n, by a recursion in l.

    With ``a_l = sqrt((l^2 - m^2)(l^2 - n^2)) / (l sqrt(4 l^2 - 1))`` and ``b_l = m n / (l (l + 1))``

        cos(theta) p_l = a_{l+1} p_{l+1} + b_l p_l + a_l p_{l-1},

    upwards from l = max(|m|, |n|), where ``d^l_mn`` is a monomial in cos(theta / 2), sin(theta / 2). Values
    carry an exponent of their own: beyond l = 2000 the first ones underflow, and later ones need them.

    For n = 0 these are the associated Legendre functions, orthonormal, with the phase of Condon and
    Shortley: times e^{i m phi} they are Y_lm. For n = -s they are the harmonics of spin s.

    Reference: Varshalovich et al. 1988, 4.8.2; Kostelec & Rockmore 2008, eq. (13).
    """
    return torch.from_numpy(columns(theta.numpy(), degrees, orders, n))


def columns(theta: np.ndarray, degrees: int, orders: Sequence[int], n: int) -> np.ndarray:
    """`wigner`, on arrays."""
    m = np.array(orders, dtype=float)[:, None]
    first = np.maximum(np.abs(m), abs(n))
    seed, exponent = _seed(theta, first, m, n)
    seed = seed * np.sqrt((2 * first + 1) / (4 * math.pi))
    cosine = np.cos(theta)
    result = np.zeros((len(orders), degrees, len(theta)))
    before, here = np.zeros_like(seed), np.zeros_like(seed)
    scaled = bool((exponent < 0).any())
    for l in range(int(first.min()), degrees):
        # orders begin at different degrees: before its own first one each is zero
        starts = first[:, 0] == l
        here[starts] = seed[starts]
        result[:, l] = np.ldexp(here, exponent) if scaled else here
        if l + 1 < degrees:
            reached, k = first <= l, l + 1
            ahead = 1 / np.where(reached, _a(k, m, n), 1.0)
            behind = np.where(reached & (first < l), _a(max(l, 1), m, n), 0.0)
            b = m * n / (l * k) if l else np.zeros_like(m)
            # in place: no new arrays of all orders and rings in each step
            following = cosine - b
            following *= here
            before *= behind
            following -= before
            following *= ahead
            before, here = here, following
        # a value that grew hands its power of two to its exponent; once all are 0 nobody looks again
        if scaled and l % EVERY == 0:
            large = UNIT * (np.abs(here) > 2.0**UNIT)
            if large.any():
                before, here, exponent = np.ldexp(before, -large), np.ldexp(here, -large), exponent + large
                scaled = bool((exponent < 0).any())
    return result


def _a(l: int, m: np.ndarray, n: int) -> np.ndarray:
    return np.sqrt(np.maximum((l * l - m * m) * (l * l - n * n), 0.0)) / (l * math.sqrt(4 * l * l - 1))


def _seed(theta: np.ndarray, first: np.ndarray, m: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    r"""``d^l_mn`` at l = max(|m|, |n|), and the exponent, a multiple of UNIT, that it lacks.

    ``d^l_{l b} = (-1)^{l - b} binom(2 l, l - b)^{1/2} cos(theta / 2)^{l + b} sin(theta / 2)^{l - b}``; the
    other edges of the square are its mirror images.
    """
    by_order = np.abs(m) >= abs(n)  # the edge |m| = l, or |n| = l
    edge, other = np.where(by_order, m, n), np.where(by_order, n, m)
    b = np.where(edge >= 0, other, -other)
    negative = ((first - b) % 2 == 1) & np.where(by_order, m >= 0, n < 0)
    l = np.arange(1, int(first.max()) + 1)
    central = np.concatenate([[1.0], np.cumprod((2 * l - 1) / (2 * l))])  # binom(2l, l) / 4^l
    binomial = central[first.astype(int)]
    for i in range(int(np.abs(b).max())):
        binomial = np.where(np.abs(b) > i, binomial * (first - i) / (first + 1 + i), binomial)
    value, exponent = np.sqrt(binomial), first.astype(int)  # 2^l from the root of 4^l
    for base, power in ((np.cos(theta / 2), first + b), (np.sin(theta / 2), first - b)):
        mantissa, shift = _power(base, power.astype(int))
        value, exponent = value * mantissa, exponent + shift
    value, shift = np.frexp(np.where(negative, -value, value))
    exponent = np.where(value == 0, 0, exponent + shift)
    units = np.minimum(-(-exponent // UNIT) * UNIT, 0)
    return np.ldexp(value, exponent - units), units


def _power(base: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``base^power`` as mantissas and exponents, by squaring."""
    shape = (len(power), len(base))
    result, exponent = np.ones(shape), np.zeros(shape, dtype=int)
    mantissa, shift = np.frexp(base)
    for bit in range(int(power.max()).bit_length()):
        here = (power >> bit) & 1 == 1
        result, more = np.frexp(np.where(here, result * mantissa, result))
        exponent = exponent + more + np.where(here, shift, 0)
        mantissa, more = np.frexp(mantissa * mantissa)
        shift = 2 * shift + more
    return result, exponent
