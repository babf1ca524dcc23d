"""Wigner's functions of the second Euler angle, one recursion for all: Legendre, spin-weighted, SO(3)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
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
    m = torch.tensor(orders, dtype=torch.float64)[:, None]
    first = m.abs().clamp_min(abs(n))
    seed, exponent = _seed(theta, first, m, n)
    seed = seed * torch.sqrt((2 * first + 1) / (4 * math.pi))
    cosine = torch.cos(theta)
    result = theta.new_zeros(len(orders), degrees, len(theta))
    before, here = torch.zeros_like(seed), torch.zeros_like(seed)
    scaled = bool((exponent < 0).any())
    for l in range(int(first.min()), degrees):
        here = torch.where(first == l, seed, here)
        result[:, l] = here * torch.exp2(exponent) if scaled else here
        if l + 1 < degrees:
            reached, k = first <= l, float(l + 1)
            ahead = torch.where(reached, _a(k, m, n), 1.0).reciprocal()
            behind = torch.where(reached & (first < l), _a(float(max(l, 1)), m, n), 0.0)
            b = m * n / (l * k) if l else torch.zeros_like(m)
            following = (cosine - b).mul_(here).sub_(before.mul_(behind)).mul_(ahead)
            before, here = here, following
        if scaled and l % EVERY == 0:
            large = UNIT * (here.abs() > 2.0**UNIT).to(here)
            before, here, exponent = before * torch.exp2(-large), here * torch.exp2(-large), exponent + large
            scaled = bool((exponent < 0).any())
    return result


def _a(l: float, m: Tensor, n: int) -> Tensor:
    return torch.sqrt(((l * l - m * m) * (l * l - n * n)).clamp_min(0.0)) / (l * math.sqrt(4 * l * l - 1))


def _seed(theta: Tensor, first: Tensor, m: Tensor, n: int) -> tuple[Tensor, Tensor]:
    r"""``d^l_mn`` at l = max(|m|, |n|), and the exponent, a multiple of UNIT, that it lacks.

    ``d^l_{l b} = (-1)^{l - b} binom(2 l, l - b)^{1/2} cos(theta / 2)^{l + b} sin(theta / 2)^{l - b}``; the
    other edges of the square are its mirror images.
    """
    by_order = m.abs() >= abs(n)  # the edge |m| = l, or |n| = l
    edge, other = torch.where(by_order, m, float(n)), torch.where(by_order, float(n), m)
    b = torch.where(edge >= 0, other, -other)
    odd = (first - b) % 2 == 1
    negative = odd & torch.where(by_order, m >= 0, torch.tensor(n < 0))
    l = torch.arange(1, int(first.max()) + 1, dtype=torch.float64)
    central = torch.cat([l.new_ones(1), torch.cumprod((2 * l - 1) / (2 * l), 0)])  # binom(2l, l) / 4^l
    binomial = central[first.long()]
    for i in range(int(b.abs().max())):
        binomial = torch.where(b.abs() > i, binomial * (first - i) / (first + 1 + i), binomial)
    value, exponent = torch.sqrt(binomial), first  # 2^l from the root of 4^l
    for base, power in ((torch.cos(theta / 2), first + b), (torch.sin(theta / 2), first - b)):
        mantissa, shift = _power(base, power.long())
        value, exponent = value * mantissa, exponent + shift
    value, shift = torch.frexp(torch.where(negative, -value, value))
    exponent = torch.where(value == 0, 0.0, exponent + shift)
    units = UNIT * torch.ceil(exponent / UNIT).clamp_max(0)
    return value * torch.exp2(exponent - units), units.expand_as(value)


def _power(base: Float[Tensor, "j"], power: Int[Tensor, "m 1"]) -> tuple[Tensor, Tensor]:
    """``base^power`` as mantissas and exponents, by squaring."""
    result, exponent = base.new_ones(len(power), len(base)), base.new_zeros(len(power), len(base))
    mantissa, shift = torch.frexp(base)
    shift = shift.to(base)
    for bit in range(int(power.max()).bit_length()):
        here = (power >> bit) & 1 == 1
        result, more = torch.frexp(torch.where(here, result * mantissa, result))
        exponent = exponent + more + torch.where(here, shift, 0.0)
        mantissa, more = torch.frexp(mantissa * mantissa)
        shift = 2 * shift + more
    return result, exponent
