"""Missing samples: never read, never written; windows; what is divided by the visible mass."""

import copy
import math
import pickle

import pytest
import torch

import erlangen as er

DOMAINS = {
    "sphere": lambda: er.Sphere().grid(10, rotations=4),
    "healpix": lambda: er.Sphere().healpix(4, rotations=4),
    "plane": lambda: er.Plane(rotations=4, shape=(12, 15)),
    "moebius": lambda: er.Moebius(12.0, 8.0).grid(12, 8),
}
KERNEL = {"plane": {"kernel_size": 3}, "moebius": {"radius": 2.5}}


def masked(name, share=0.3, **options):
    whole = DOMAINS[name]()
    mask = torch.rand(whole.shape, generator=torch.Generator().manual_seed(0)) > share
    return whole.masked(mask, **options)


@pytest.mark.parametrize("boundary", ["zero", "renormalize"])
@pytest.mark.parametrize("name", DOMAINS)
def test_hidden_samples_are_not_read_and_not_written(name, boundary):
    torch.manual_seed(0)
    domain = masked(name, boundary=boundary)
    kernel = KERNEL.get(name, {"radius": 0.9})
    layer = er.nn.Lift(domain, 2, 3, **kernel)
    torch.nn.init.normal_(layer.bias)
    f = torch.randn(2, 2, *domain.shape)
    y = layer(f).detach()
    hidden = torch.where(domain.mask, f, torch.nan)
    assert torch.equal(layer(hidden), y)
    assert float(y[..., ~domain.mask].abs().max()) == 0
    assert float(y[..., domain.mask].std()) > 0.1
    # as the whole domain sees zeros
    plain = er.nn.Lift(domain.whole, 2, 3, **kernel)
    plain.load_state_dict(layer.state_dict())
    zeros = plain(torch.where(domain.mask, f, 0.0)).detach()
    if boundary == "zero":
        torch.testing.assert_close(y[..., domain.mask], zeros[..., domain.mask])
    else:
        bias = layer.bias.detach()[:, None, None]  # (channel, fibre, p)
        visible = (zeros[..., domain.mask] - bias) / (y[..., domain.mask] - bias)
        torch.testing.assert_close(visible, visible[:1, :1, :1].expand_as(visible), rtol=1e-3, atol=1e-3)
        assert float(visible.std()) > 0.02
        assert 0.3 < float(visible.mean()) < 1
    assert copy.deepcopy(domain) is domain
    assert torch.equal(pickle.loads(pickle.dumps(layer))(f), y)


@pytest.mark.parametrize("name", ["sphere", "healpix", "plane", "moebius"])
def test_renormalized_kernels_keep_constants_up_to_the_edge(name):
    window = DOMAINS[name]()
    window = window.masked(
        torch.arange(window.weights.numel()).view(window.shape) < window.weights.numel() // 2
    )
    kernel = KERNEL.get(name, {"radius": 1.2})
    answers = {}
    for boundary in ("zero", "renormalize"):
        domain = window.whole.masked(window.mask, boundary)
        layer = er.nn.Correlation(domain, 1, 1, **kernel, rings=1, bias=False)
        with torch.no_grad():
            layer.weight.fill_(1.0)
        y = layer(torch.ones(1, 1, *domain.shape)).detach()[0, 0, domain.mask]
        answers[boundary] = float((y.max() - y.min()) / y.max())
    assert answers["renormalize"] < 1e-5 < 0.15 < answers["zero"]


TOWARDS = {
    "itself, global": lambda window: None,
    "other samples, local": lambda window: er.Sphere().fibonacci(80),
    "other samples, global": lambda window: er.Sphere().grid(7, rotations=4),
    "a window, local": lambda window: er.Sphere().grid(8).masked(er.Sphere().grid(8).points[..., 2] > 0.3),
    "a window, global": lambda window: er.Sphere().grid(8).masked(er.Sphere().grid(8).points[..., 2] > 0.3),
}


@pytest.mark.parametrize("name", TOWARDS)
@pytest.mark.parametrize("source", ["sphere", "healpix"])
def test_windows_towards_other_samples_and_by_global_kernels(name, source):
    whole = DOMAINS[source]()
    mask, to = whole.points[..., 2] > 0.1, TOWARDS[name](whole)
    kernel = {"radius": 1.2} if "local" in name else {}
    f = torch.randn(2, 1, *whole.shape)
    shares = {}
    for boundary in ("zero", "renormalize"):
        domain = whole.masked(mask, boundary)
        layer = er.nn.Correlation(domain, 1, 2, to=to, **kernel)
        torch.nn.init.normal_(layer.bias)
        y = layer(f).detach()
        assert torch.equal(layer(torch.where(mask, f, torch.nan)).detach(), y)
        target = domain if to is None else to
        assert y.shape == (2, 2, *target.shape)
        if isinstance(target, er.domains.Masked):
            assert float(y[..., ~target.mask].abs().max()) == 0
        plain = er.nn.Correlation(whole, 1, 2, to=to and to.unmasked, **kernel)
        plain.load_state_dict(layer.state_dict())
        zeros = target.hide(plain(torch.where(mask, f, 0.0)).detach())
        if boundary == "zero":
            torch.testing.assert_close(y, zeros)
        else:
            bias = layer.bias.detach().view(-1, *[1] * (y.dim() - 2))
            seen = target.hide(torch.ones(target.shape)) > 0
            both = ((y - bias)[..., seen], (zeros - bias)[..., seen])
            shares = both[1].abs().sum((0, 1)) / both[0].abs().sum((0, 1)).clamp_min(1e-9)
            assert float(shares.max()) < 1.2
            assert float(shares.min()) < 0.97  # at the edge
        # of the kernel that the visible part is measured by, constants give what all samples give
        even, of_all = (er.nn.Correlation(d, 1, 1, to=to, bias=False, **kernel) for d in (domain, whole))
        with torch.no_grad():
            for layer in (even, of_all):
                layer.weight.copy_(whole.engine(of_all.spec, to).smoothness.float().expand_as(layer.weight))
        ones = torch.ones(1, 1, *whole.shape)
        high = target.points[..., 2] > 0.35
        ratio = (even(ones) / of_all(ones)).detach()[0, 0, high]
        if boundary == "renormalize":
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-4)
        else:
            assert float(ratio.min()) < 0.97


@pytest.mark.parametrize("name", DOMAINS)
def test_networks_run_on_windows_and_forget_the_rest(name):
    torch.manual_seed(0)
    domain = masked(name, 0.2)
    kernel = {"kernel_size": 3} if name == "plane" else {"radius": 2.5 if name == "moebius" else 0.7}
    f = torch.randn(2, 1, *domain.shape)
    hidden = torch.where(domain.mask, f, torch.nan)
    for net in (
        er.models.UNet(domain, 1, 1, width=2, depth=1, **kernel),
        er.models.Classifier(domain, 1, 3, width=2, depth=1, **kernel),
    ):
        er.verify.randomized(net)
        y = net(f).detach()
        assert torch.equal(net(hidden), y)
        assert bool(torch.isfinite(y).all())
        assert float(y.std()) > 1e-4


def test_networks_are_those_of_the_whole():
    whole = er.Plane(rotations=4, shape=(12, 12))
    nets = [er.models.UNet(domain, 1, 1, 2, 1) for domain in (whole, whole.masked(torch.rand(12, 12) > 0.2))]
    assert nets[0].options == nets[1].options
    spec = nets[1].lift[0].spec
    assert whole.widening(spec) == nets[1].domain.widening(spec)


def test_pools_and_means_see_what_is_visible():
    domain = masked("healpix")
    f = torch.randn(1, 2, *domain.shape)
    seen = f[..., domain.mask]
    hidden = torch.where(domain.mask, f, torch.nan)
    torch.testing.assert_close(er.nn.GlobalPool(domain, "max")(hidden), seen.amax(-1))
    torch.testing.assert_close(er.nn.GlobalPool(domain)(hidden), seen.mean(-1))
    torch.testing.assert_close(er.nn.mean(domain, hidden), seen.mean(-1))
    coarse = er.nn.Down(domain, "scalar")(torch.where(domain.mask, 1.0, torch.nan)[None, None])
    torch.testing.assert_close(coarse[0, 0], domain.coarser().mask.float())
    back = er.nn.Up(domain, "scalar")(coarse, domain.shape)[0, 0]
    torch.testing.assert_close(
        back[domain.mask & (back != 0)], torch.ones(int((domain.mask & (back != 0)).sum()))
    )
    assert float((back[domain.mask] != 0).float().mean()) > 0.9


def test_gradients_of_powers_and_gates_do_not_see_what_is_hidden():
    domain = masked("sphere")
    f = torch.where(domain.mask, torch.randn(1, 1, 4, *domain.shape), torch.nan)
    for layer in (er.nn.Polynomial(domain, 1), er.nn.Gated(domain, 1)):
        net = torch.nn.Sequential(layer, er.nn.Project(domain, "mean"), er.nn.GlobalPool(domain))
        net(f).sum().backward()
        assert bool(layer.weight.grad.isfinite().all())


def test_moved_fields_are_read_from_visible_samples():
    ball = er.Sphere().grid(16)
    window = ball.masked(ball.points[..., 0] > -0.5)
    g = torch.linalg.matrix_exp(torch.tensor([[0.0, -0.3, 0.1], [0.3, 0, 0], [-0.1, 0, 0]]).double())
    f = ball.points[..., 1]
    moved = window.act(g, torch.where(window.mask, f, torch.nan))
    inside = (ball.points @ g)[..., 0] > -0.2
    torch.testing.assert_close(moved[inside], (ball.points @ g)[..., 1][inside], rtol=0, atol=2e-3)


def test_missing_values_without_a_mask_are_refused():
    ball = er.Sphere().grid(4)
    f = torch.zeros(1, 1, 4, 8)
    f[..., 2, 3] = torch.nan
    message = r"1 of 32 values of the field are NaN.*domain.masked\(mask\), or mask="
    with pytest.raises(ValueError, match=message):
        er.nn.Correlation(ball, 1, 1, radius=1.0)(f)
    with pytest.raises(ValueError, match=message):
        er.correlate(ball, lambda v: torch.exp(-v.square().sum(-1)), f[0, 0])
    for read in (er.nn.mean, lambda d, f: er.nn.mse_loss(d, f, f), lambda d, f: d.act(torch.eye(3), f)):
        with pytest.raises(ValueError, match=message):
            read(ball, f)
        read(ball.masked(~torch.isnan(f[0, 0])), f)
    er.nn.Correlation(ball.masked(~torch.isnan(f[0, 0])), 1, 1, radius=1.0)(f)
    with pytest.raises(ValueError, match=message):
        er.nn.Correlation(ball.masked(torch.ones(4, 8) > 0), 1, 1, radius=1.0)(f)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ball: ball.masked(torch.ones(4, 8)), "the mask is torch.float32, expected booleans"),
        (lambda ball: ball.masked(torch.ones(4, 7) > 0), r"has space axes \(4, 7\), expected \(4, 8\)"),
        (lambda ball: ball.masked(torch.zeros(4, 8) > 0), "False everywhere.*~mask"),
        (lambda ball: ball.masked(torch.ones(4, 8) > 0, "reflect"), 'padding_mode="reflect" on a grid'),
        (
            lambda ball: er.nn.Correlation(er.Plane().masked(torch.ones(8, 8) > 0), 1, 1, 3, stride=2),
            "stride=2.*resample by er.nn.Down",
        ),
        (
            lambda ball: er.nn.Down(
                er.Plane().masked(torch.ones(8, 8) > 0), circular=True, exact_shifts=True
            ),
            "a mask does not shift with the content",
        ),
    ],
)
def test_bad_masks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(er.Sphere().grid(4))


def test_missing_values_are_not_looked_for_where_nobody_may_look():
    """`torch.func.vmap` gives no numbers; other transforms do, and find what is missing."""
    samples = er.Sphere().healpix(1)

    def checked(f):
        samples.check(f, "scalar")
        return 2 * f

    f = torch.randn(3, 1, 1, 12)
    f[0, 0, 0, 0] = math.nan
    torch.testing.assert_close(torch.func.vmap(checked)(f[1:]), 2 * f[1:])
    torch.func.vmap(checked)(f)
    torch.func.grad(lambda f: checked(f).sum())(f[1])
    with pytest.raises(ValueError, match="1 of 12 values of the field are NaN"):
        torch.func.grad(lambda f: checked(f).sum())(f[0])


def test_a_mask_of_specks_has_no_coarser_samples():
    specks = er.Plane().masked(torch.arange(144).view(12, 12) % 5 == 0)
    with pytest.raises(ValueError, match="most is hidden, expected a mask of larger"):
        er.models.UNet(specks, 1, 1, width=2, depth=1)
