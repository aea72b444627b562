import pytest
import torch

from noisette.diffusion.operator import AveragePool, Mask, Operator
from noisette.errors import InputError

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(2, 4, 8, 12, dtype=torch.float64, generator=GENERATOR)
KNOWN = (torch.rand(1, 1, 8, 12, generator=GENERATOR) < 0.6).float()
OPERATORS = [Mask(KNOWN), Mask(KNOWN.expand(2, 4, -1, -1)), AveragePool(1), AveragePool(2), AveragePool(4)]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("channels", [3, 4])
def test_the_inverse_is_moore_and_penroses(operator, channels):
    """A A⁺ A = A, A⁺ A A⁺ = A⁺, and both products are symmetric; checked as matrices."""
    x = X[:, :channels]
    if isinstance(operator, Mask) and operator.known.shape[1] == 4:
        operator = Mask(operator.known[:, :channels])
    assert isinstance(operator, Operator)
    y = operator(x)
    torch.testing.assert_close(operator(operator.pinv(y)), y)
    torch.testing.assert_close(operator.pinv(operator(operator.pinv(y))), operator.pinv(y))
    other, back = x.flip(0).cos(), y.flip(0).sin()
    if isinstance(operator, Mask):
        back = operator(back)
    torch.testing.assert_close((operator.pinv(operator(x)) * other).sum(), (x * operator.pinv(operator(other))).sum())
    torch.testing.assert_close((operator(operator.pinv(y)) * back).sum(), (y * operator(operator.pinv(back))).sum())


def test_mask_keeps_known_pixels_and_average_pool_the_means():
    assert torch.equal(Mask(KNOWN)(X)[:, :, KNOWN[0, 0] == 1], X[:, :, KNOWN[0, 0] == 1])
    assert AveragePool(4)(X)[1, 2, 1, 2] == pytest.approx(X[1, 2, 4:, 8:].mean())


def test_refusals():
    with pytest.raises(InputError, match="no other values"):
        Mask(torch.full((1, 1, 4, 4), 0.5))
    with pytest.raises(InputError, match="whole blocks of 3×3"):
        AveragePool(3)(X)
    with pytest.raises(InputError, match="at least 1"):
        AveragePool(0)
