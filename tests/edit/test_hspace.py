import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

import noisette
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, Heun, sample
from noisette.edit.hspace import (
    LAYERS,
    Direction,
    HSpaceEdit,
    Layer,
    composition,
    difference_direction,
    find_label_directions,
    find_layer,
    homogeneity,
    linearity,
    load_directions,
    principal_directions,
    record_noised,
    record_sampling,
    save_directions,
    select_direction,
)
from noisette.errors import InputError
from noisette.nn import UNet, UNetConfig
from noisette.sampling.generate import initial_noise
from tiny_models import tiny


@pytest.fixture(scope="module")
def model():
    return tiny()


def begin(model, n: int, label: str | None = None, steps: int = 4):
    d, grid, noise = model.given(model.condition(label, n)), model.grid(steps), Seeded(range(n))
    return d, grid, initial_noise(d, grid, torch.empty(n, 4, 8, 8), noise), noise


@pytest.mark.parametrize("place", LAYERS)
def test_activations_are_recorded_by_time(model, place) -> None:
    d, grid, x, noise = begin(model, 3)
    part = find_layer(model.net, place)
    for sampler in (DDIM(), Heun()):
        times, seen = record_sampling(d, part, grid, x, noise, sampler)
        assert torch.equal(times, grid[:-1]) and seen.shape == (4, 3, 8, 4, 4)
    outputs = []
    handle = part.register_forward_hook(lambda _m, _i, out: outputs.append(out))
    d(x, grid[0])
    handle.remove()
    torch.testing.assert_close(seen[0], outputs[0])
    assert not part._forward_hooks


def test_pictures_are_looked_at_with_one_noise_each(model) -> None:
    d, grid, _, _ = begin(model, 2)
    pictures = torch.rand(2, 4, 8, 8)
    times, seen = record_noised(d, find_layer(model.net, "mid"), grid, pictures, Seeded([3, 4]))
    x = model.schedule.diffuse(pictures, grid[1], Seeded([3, 4]))
    record = {}
    handle = model.net.mid.register_forward_hook(lambda _m, _i, out: record.update(h=out))
    d(x, grid[1])
    handle.remove()
    torch.testing.assert_close(seen[1], record["h"])
    assert len(times) == 4


def test_principal_directions_are_those_in_which_it_varies() -> None:
    """Two axes of known size, planted."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(2 * 3 * 4, 2, generator=generator))[0].T.reshape(2, 2, 3, 2, 2)
    sizes = torch.tensor([5.0, 2.0])
    scores = torch.randn(2000, 2, generator=generator) * sizes
    seen = torch.einsum("nk,ktchw->tnchw", scores, axes) + 1.0
    times = torch.tensor([0.5, 0.1], dtype=torch.float64)
    found = principal_directions(times, seen, 2)
    for direction, axis, size in zip(found, axes, sizes, strict=True):
        cos = (direction.values * axis).sum() / direction.values.norm()
        assert abs(cos) > 0.99 and direction.values.norm() == pytest.approx(size.item(), rel=0.1)
    assert found[0].name.startswith("component 1 (8")
    with pytest.raises(InputError, match="components must be between 1 and 2 for 3 pictures, got 3"):
        principal_directions(times, seen[:, :3], 3)


@pytest.mark.parametrize("place", LAYERS)
def test_a_class_difference_moves_pictures_towards_the_class(model, place) -> None:
    """On a network that listens to its labels: the h of "sword" used in sampling with the label "bread"."""
    d, grid, x, noise = begin(model, 6, "bread")
    mid = find_layer(model.net, place)
    times, of = record_sampling(model.given(model.condition("sword", 6)), mid, grid, x, Seeded(range(6)))
    _, against = record_sampling(d, mid, grid, x, Seeded(range(6)))
    direction = difference_direction("sword - bread", times, of, against)
    torch.testing.assert_close(direction.values, (of - against).mean(1))
    t = grid[1]
    plain, edited = d(x, t), HSpaceEdit(d, mid, [(direction, 1.0)])(x, t)
    assert torch.equal(plain.eps, edited.eps) and not torch.allclose(plain.x0, edited.x0, atol=1e-4)
    torch.testing.assert_close(HSpaceEdit(d, mid, [(direction, 0.0)])(x, t).x0, plain.x0)
    both = HSpaceEdit(d, mid, [(direction, 0.5), (replace(direction, values=2 * direction.values), 0.25)])
    torch.testing.assert_close(both(x, t).x0, edited.x0, rtol=1e-4, atol=1e-4)
    assert sample(HSpaceEdit(d, mid, [(direction, 1.0)]), Heun(), grid, x, noise).isfinite().all()


def test_the_direction_of_the_nearest_time() -> None:
    times = torch.tensor([1.0, 0.1, 0.001], dtype=torch.float64)
    direction = Direction("d", times, torch.arange(3.0).reshape(3, 1, 1, 1))
    for t, right in ((1.0, 0), (0.4, 0), (0.2, 1), (0.02, 1), (0.005, 2), (1e-5, 2)):
        assert direction.at_time(torch.tensor(t, dtype=torch.float64)).item() == right


def test_linearity_homogeneity_and_composition_of_known_effects() -> None:
    strengths = torch.linspace(-2, 2, 5)
    slopes = torch.tensor([1.0, 3.0])
    assert linearity(strengths, strengths[:, None] * slopes + 7) == pytest.approx((2.0, 1.0))
    slope, r2 = linearity(strengths, (strengths**2)[:, None].expand(5, 2))
    assert abs(slope) < 1e-6 and abs(r2) < 1e-6
    assert linearity(strengths, torch.zeros(5, 2)) == (0.0, 1.0)
    one = torch.randn(1, 3, 8, 8)
    assert homogeneity(one.expand(4, -1, -1, -1) * torch.tensor([1.0, 2, 3, 4]).reshape(4, 1, 1, 1)) == pytest.approx(1)
    assert abs(homogeneity(torch.randn(50, 3, 16, 16))) < 0.02
    a, b = torch.randn(2, 4, 3, 8, 8)
    assert composition(a + b, a, b) == pytest.approx(1)
    assert composition(torch.zeros_like(a), a, b) == pytest.approx(0, abs=1e-6)


# ── on a disk ─────────────────────────────────────────────────────────────────────────────────────────────────────


def some(place: Layer = "decoder") -> list[Direction]:
    times = torch.tensor([0.5, 0.1], dtype=torch.float64)
    names = ("component 1 (40 %)", "sword - bread")
    return [Direction(name, times, torch.randn(2, 8, 4, 4), place) for name in names]


@pytest.mark.parametrize("place", LAYERS)
def test_directions_round_trip(tmp_path, place) -> None:
    saved = some(place)
    save_directions(tmp_path / "d.safetensors", saved, "f" * 64, "of 16 pictures")
    found = load_directions(tmp_path / "d.safetensors", "f" * 64)
    for a, b in zip(saved, found, strict=True):
        assert (
            a.name == b.name
            and a.layer == b.layer == place
            and torch.equal(a.values, b.values)
            and torch.equal(a.times, b.times)
        )
    assert (tmp_path / "d.safetensors").stat().st_size < 6000
    assert select_direction(found, "2") is found[1] and select_direction(found, "sword - bread") is found[1]
    assert select_direction(found, "component 1") is found[0]
    for wrong in ("3", "0", "swrod - bread"):
        with pytest.raises(InputError, match="no direction is called"):
            select_direction(found, wrong)


def test_directions_of_another_model_and_files_that_are_none(tmp_path) -> None:
    path = tmp_path / "d.safetensors"
    save_directions(path, some(), "f" * 64)
    with pytest.raises(InputError, match="of another model"):
        load_directions(path, "e" * 64)
    with pytest.raises(InputError, match="cannot read"):
        load_directions(tmp_path / "none", "f" * 64)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="not a safetensors file"):
        load_directions(tmp_path / "text", "f" * 64)
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(InputError, match="give a file written by noisette edit hspace"):
        load_directions(tmp_path / "other", "f" * 64)
    changes = {"format": 9}, {"names": ["a"] * 5}, {"model": "e"}, {"place": "elsewhere"}, {}
    for change, reason in zip(
        changes,
        (
            "newer",
            "give a file written by noisette edit hspace",
            "another",
            "give a file written by noisette edit hspace",
            None,
        ),
        strict=True,
    ):
        metadata = {"format": 1, "model": "f" * 64, "names": ["a"], "about": ""} | change
        tensors = {"0/times": torch.tensor([0.5]), "0/values": torch.zeros(1, 2, 2, 2)}
        safetensors.torch.save_file(tensors, tmp_path / "forged", {"noisette": json.dumps(metadata)})
        if reason is None:  # as the first version wrote it, which knew the bottleneck alone
            assert [d.layer for d in load_directions(tmp_path / "forged", "f" * 64)] == ["mid"]
            continue
        with pytest.raises(InputError, match=reason):
            load_directions(tmp_path / "forged", "f" * 64)


def test_a_network_without_a_bottleneck() -> None:
    with pytest.raises(InputError, match="no bottleneck"):
        find_layer(torch.nn.Linear(2, 2))


def test_where_h_space_is() -> None:
    """The decoder's last word at half of the picture's size; the bottleneck where there is only one level, or the
    network names no decoder."""
    net = UNet(UNetConfig(channels=(8, 16, 24), attention=(False,) * 3, groups=8, time_channels=8))
    shapes = {}
    for place in LAYERS:
        part = find_layer(net, place)
        part.register_forward_hook(lambda _m, _i, out, place=place: shapes.update({place: tuple(out.shape[1:])}))
    net(torch.zeros(1, 3, 16, 16), torch.zeros(1))
    assert shapes == {"decoder": (16, 8, 8), "mid": (24, 4, 4)}
    one = UNet(UNetConfig(channels=(8,), attention=(False,), groups=8, time_channels=8))
    assert find_layer(one) is one.mid
    bare = torch.nn.Module()
    bare.mid = torch.nn.Identity()
    assert find_layer(bare) is bare.mid


@pytest.mark.slow
def test_a_label_s_direction_leads_to_its_pictures() -> None:
    """In a real model, whose directions were found from other noises: nearer to the mean flag, and the more the
    further."""
    model, n = noisette.load("emoji-16"), 12
    grid = model.grid(8, "karras")
    found = find_label_directions(model, ("Flags", "Smileys & Emotion", "Objects"), range(100, 112), grid)
    d, noise = model.given(model.condition(None, n)), Seeded(range(n))
    x = initial_noise(d, grid, torch.empty(n, *model.pictures.shape), noise)

    def ends(strength: float, label: str | None = None) -> torch.Tensor:
        d = model.given(model.condition(label, n))
        edited = HSpaceEdit(d, find_layer(model.net), [(found[0], strength)]) if strength else d
        return sample(edited, DDIM(), grid, x, noise)

    flag = ends(0.0, "Flags").mean(0)
    far = [(ends(s) - flag).square().mean((1, 2, 3)) for s in (0.0, 1.0, 2.0)]
    assert far[1].mean() < 0.9 * far[0].mean() and far[2].mean() < 0.9 * far[1].mean()
    assert (far[2] < far[0]).float().mean() > 0.8
