"""What an image is asked to be."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .shapes import Images


@dataclass(frozen=True)
class Condition:
    """Everything that a network may be told besides x_t and t. What is None is not said.

    A row of `label` that is -1, and a row of `vector` or `tokens` that is all NaN, is *null*: the network puts its
    learned null embedding there. So a null needs no knowledge of the network, and classifier-free training and
    sampling write it in the same way. A text shorter than others in its batch ends in tokens that are all NaN.
    """

    label: Int[Tensor, "b"] | Float[Tensor, "b classes"] | None = None  # a class, or weights of a mixture of classes
    vector: Float[Tensor, "b d"] | None = None  # attributes, or a pooled text embedding
    tokens: Float[Tensor, "b l d"] | None = None  # text: first as a whole (pooled), then token by token
    image: Images | None = None  # stacked on x_t: a low-resolution or masked picture

    @property
    def kinds(self) -> tuple[str, ...]:
        """The parts that are said and can be forgotten: all but the image."""
        return tuple(f.name for f in fields(self) if f.name != "image" and getattr(self, f.name) is not None)

    def drop(self, forget: Bool[Tensor, "b"], *kinds: str) -> "Condition":
        """Forget what image i was asked to be where forget[i]; of these kinds alone where some are named.

        The image to start from is never forgotten.
        """

        def null(x: Tensor) -> Tensor:
            where = forget.to(x.device).reshape((-1,) + (1,) * (x.ndim - 1))
            return torch.where(where, torch.nan if x.is_floating_point() else -1, x)

        return replace(self, **{kind: null(getattr(self, kind)) for kind in kinds or self.kinds})

    def null(self) -> "Condition":
        """The same batch, asked for nothing."""
        return self.drop(torch.ones(len(self), dtype=torch.bool))

    def to(self, device: torch.device | str) -> "Condition":
        return self.each(lambda x: x.to(device))

    def __len__(self) -> int:
        """How many images it speaks of; 0 where it says nothing."""
        return next((len(x) for f in fields(self) if (x := getattr(self, f.name)) is not None), 0)

    def __getitem__(self, rows: slice | Tensor) -> "Condition":
        """Some of the batch."""
        return self.each(lambda x: x[rows])

    def beside(self, other: "Condition") -> "Condition | None":
        """Both batches, one after the other; None where they do not say the same kinds of things."""
        joined: dict[str, Tensor] = {}
        for f in fields(self):
            mine, its = getattr(self, f.name), getattr(other, f.name)
            if mine is None and its is None:
                continue
            if mine is None or its is None or mine.shape[1:] != its.shape[1:] or mine.dtype != its.dtype:
                return None
            joined[f.name] = torch.cat([mine, its])
        return replace(self, **joined)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        """The same, every part that is said changed."""
        return replace(self, **{f.name: change(x) for f in fields(self) if (x := getattr(self, f.name)) is not None})
