"""What `noisette distill` trains: a student that draws in few network calls what its teacher draws in many."""

from dataclasses import dataclass

from ...errors import InputError, check_range

MAX_CALLS = 8


@dataclass(frozen=True)
class Distillation:
    """A student that draws with `calls` network calls a picture. Raises InputError for numbers out of range."""

    calls: int  # 1 to MAX_CALLS
    guidance: float | None = None  # classifier-free guidance scale of the teacher, -100 to 100; None: its own, and
    # autoguidance by its early snapshot where there is one

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MAX_CALLS:
            raise InputError(f"the number of network calls must be 1 to {MAX_CALLS}, got {self.calls}")
        if self.guidance is not None:
            check_range("guidance", self.guidance, -100, 100)
