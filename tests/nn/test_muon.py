import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from noisette.errors import InputError
from noisette.io import checkpoint
from noisette.models.picture_model import PictureModel
from noisette.nn.muon import Muon, find_matrices, orthogonalize
from tiny_models import tiny


@given(st.integers(16, 40), st.integers(16, 80), st.integers(0, 99))
def test_only_singular_values_change(rows: int, columns: int, seed: int) -> None:
    """To about 1, whatever they were, as long as they are not next to nothing."""
    rows, columns = sorted((rows, columns))
    torch.manual_seed(seed)
    u, v = (torch.linalg.qr(torch.randn(n, rows, dtype=torch.float64))[0] for n in (rows, columns))
    values = torch.logspace(-1.5, 0, rows, dtype=torch.float64)
    found = orthogonalize(7 * u * values @ v.mT)
    inside = u.mT @ found @ v
    assert (found - u @ inside @ v.mT).abs().max() < 1e-9  # the same spaces
    assert (inside - inside.diag().diag()).abs().max() < 1e-9  # the same vectors
    assert inside.diag().min() > 0.65 and inside.diag().max() < 1.25


def test_a_stack_is_its_matrices_one_by_one() -> None:
    stack = torch.randn(3, 20, 30)
    torch.testing.assert_close(
        orthogonalize(stack), torch.stack([orthogonalize(m) for m in stack]), rtol=1e-4, atol=1e-5
    )


def gradients(n: int, *shape: int) -> list[Tensor]:
    return list(torch.randn(n, *shape, generator=torch.Generator().manual_seed(1)))


def moved(weight: nn.Parameter, optimizer: torch.optim.Optimizer, slopes: list[Tensor]) -> Tensor:
    for slope in slopes:
        weight.grad = slope.reshape(weight.shape)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("shape", [(24, 40), (40, 24)])
def test_it_is_pytorchs(shape: tuple[int, int]) -> None:
    """Which iterates in bf16, so that its singular values are its own by some per cent."""
    start, slopes = torch.randn(shape), gradients(6, *shape)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = moved(ours, Muon([ours], [nn.Parameter(torch.ones(1))], 0.01, (0.9, 0.99), 0.1), slopes)
    torchs = torch.optim.Muon([theirs], 0.01, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    way = moved(theirs, torchs, slopes) - start
    assert ((mine - start) - way).norm() < 0.03 * way.norm()


def test_a_kernel_is_a_matrix_with_a_row_for_each_channel_that_comes_out() -> None:
    kernel, matrix = nn.Parameter(torch.zeros(16, 4, 3, 3)), nn.Parameter(torch.zeros(16, 36))
    kernel.data = kernel.data.to(memory_format=torch.channels_last)
    slopes, other = gradients(4, 16, 36), [nn.Parameter(torch.ones(1))]
    one = moved(kernel, Muon([kernel], other, 0.01, (0.9, 0.99)), [s.reshape(16, 4, 3, 3) for s in slopes])
    assert torch.allclose(one.flatten(1), moved(matrix, Muon([matrix], other, 0.01, (0.9, 0.99)), slopes), atol=1e-7)


def test_the_rest_is_adams() -> None:
    start, slopes = torch.randn(9), gradients(5, 9)
    ours, adams, wide = nn.Parameter(start.clone()), nn.Parameter(start.clone()), nn.Parameter(torch.randn(16, 16))
    mine = moved(ours, Muon([wide], [ours], 0.01, (0.9, 0.99), 0.1), slopes)
    torchs = torch.optim.AdamW([adams], 0.01, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    assert torch.equal(mine, moved(adams, torchs, slopes))


def test_narrow_weights_norms_biases_and_embeddings_are_left_to_adam() -> None:
    model: PictureModel = tiny()
    wide = {id(w) for w in find_matrices(model)}
    found = {name for name, p in model.net.named_parameters() if id(p) in wide}
    assert found and all(name.endswith("weight") for name in found)
    for name, p in model.net.named_parameters():
        if name in found:
            assert p.ndim in (2, 4) and min(p.shape[0], p[0].numel()) >= 16
    assert not any("label" in name or "norm" in name or "conv_out" in name for name in found)


def test_muon_resumes_bit_for_bit_and_refuses_a_foreign_state() -> None:
    def made() -> tuple[nn.Sequential, Muon, dict[str, nn.Parameter]]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 4, 3, padding=1))
        wide = {id(w) for w in find_matrices(net)}
        rest = [p for p in net.parameters() if id(p) not in wide]
        assert len(rest) == 3  # two biases, and the weight with four rows
        return net, Muon(find_matrices(net), rest, 0.01, (0.9, 0.99)), dict(net.named_parameters())

    def steps(net: nn.Module, optimizer: Muon, first: int, last: int) -> None:
        for i in range(first, last):
            optimizer.zero_grad()
            net(torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(i))).square().mean().backward()
            optimizer.step()

    whole, optimizer, _ = made()
    steps(whole, optimizer, 0, 6)
    net, optimizer, named = made()
    steps(net, optimizer, 0, 3)
    tensors = checkpoint.optimizer_tensors(optimizer, named)
    assert "momentum/0.weight" in tensors and "exp_avg/0.weight" not in tensors and "exp_avg/2.weight" in tensors
    again, other, named = made()
    again.load_state_dict(net.state_dict())
    checkpoint.load_optimizer_tensors(other, named, tensors)
    steps(again, other, 3, 6)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), whole.parameters(), strict=True))
    lacking = {name: tensor for name, tensor in tensors.items() if name != "exp_avg/2.weight"}
    with pytest.raises(InputError, match=r"has no tensor exp_avg/2\.weight"):
        checkpoint.load_optimizer_tensors(other, named, lacking)
