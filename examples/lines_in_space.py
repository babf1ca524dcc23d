"""Complete broken lines in a volume, on R^3 x S^2; learned on upright lines, tried on lines of any direction.

Lifted to positions and directions, a kernel may reach along its direction and not across; all commutes with
SE(3). The others: any kernel on R^3 (a plain CNN, which learns "upright"), and isotropic ones.
"""

import torch
from torch import Tensor, nn

import erlangen as er
from erlangen.domains import Domain

PLAIN, SPACE = (er.Euclidean(3, name).grid(7, 7, 7) for name in ("translations", "roto-translations"))


def volumes(count: int, upright: bool) -> tuple[Tensor, Tensor]:
    """Noisy lines with a gap, and whole ones, ``(count, 1, 7, 7, 7)``."""
    x = SPACE.points[None].float() - 3 * (torch.rand(count, 1, 1, 1, 3) - 0.5)
    n = torch.randn(count, 1, 1, 1, 3) + upright * torch.tensor([0.0, 0.0, 15.0])
    n = n / n.norm(dim=-1, keepdim=True)
    along = (x * n).sum(-1, keepdim=True)
    line = torch.exp(-(x - along * n).square().sum(-1) / 0.8)[:, None]
    broken = line * (along[..., 0].abs() > 1.2)[:, None]
    return broken + 0.2 * torch.randn_like(line), line


def network(first: nn.Module, second: nn.Module, on: Domain, *down: nn.Module) -> nn.Module:
    layers = (first, er.nn.Norm(on, 4), er.nn.ReLU(on), second, er.nn.Norm(on, 4), er.nn.ReLU(on))
    last = er.nn.Correlation(SPACE, 4, 1, 3)
    nn.init.normal_(last.weight, std=0.02)
    return nn.Sequential(*layers, *down, er.nn.Norm(SPACE, 4), last)


def main(steps: int = 240, on: Domain | None = None) -> dict[str, list[float]]:
    torch.manual_seed(0)
    lines = on or er.PositionsAndDirections(length=2.5).grid(SPACE)  # 12 directions at each position
    first = er.nn.Lift(SPACE, 1, 4, radius=3.0, rings=4, to=lines)
    second = er.nn.Correlation(lines, 4, 4, radius=1.3, rings=4)
    nets = {"positions and directions": network(first, second, lines, er.nn.Pushforward(lines, SPACE, "max"))}
    for name, domain in (("any kernel", PLAIN), ("isotropic", SPACE)):
        nets[name] = network(*(er.nn.Correlation(domain, a, 4, 7) for a in (1, 4)), domain)
    found = {}
    for name, net in nets.items():
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(steps):
            x, y = volumes(8, upright=True)
            optimizer.zero_grad()
            (net(x) - y).square().mean().backward()
            optimizer.step()
        tries = (volumes(64, upright) for upright in (True, False))
        found[name] = [float((net.eval()(x) - y).detach().norm() / y.norm()) for x, y in tries]
        print(name, "errors on upright lines and on all:", found[name], flush=True)  # noqa: T201
    return found


if __name__ == "__main__":
    main()
