"""Requests of programs, by `noisette mcp` and `noisette serve`: within the limits, with the model's defaults."""

from collections.abc import Sequence

from ..models.picture_model import PictureModel
from ..sampling.request import Helpers, SampleRequest, make_request
from .edit_kinds import UPSCALE, EditRequest, PreparedEdit, prepare_edit
from .limits import check_count, check_steps, check_words


def request_drawing(
    model: PictureModel, number: int, labels: Sequence[str], attributes: Sequence[str], text: str | None, seed: int,
    steps: int | None, sampler: str | None, grid: str | None, guidance: float | None,
) -> SampleRequest:  # fmt: skip
    """New pictures. Raises InputError for all that cannot be drawn, or is beyond the limits."""
    check_words(labels, attributes, text)
    request = make_request(
        model, check_count(number), list(labels), seed=seed, attributes=list(attributes), text=text, steps=steps,
        sampler=sampler, grid=grid, guidance=guidance,
    )  # fmt: skip
    check_steps(request.steps)
    return request


def request_edit(
    model: PictureModel, data: bytes, edit_request: EditRequest, steps: int | None
) -> tuple[PreparedEdit, SampleRequest, Helpers]:
    """Edits of a picture; `data` are the bytes of its file. Raises InputError as `request_drawing` does."""
    check_words([edit_request.label], edit_request.attributes, edit_request.text)
    edit = prepare_edit(model, data, edit_request)
    helpers = Helpers(image=edit.image)
    request = make_request(
        model, edit_request.number, [edit_request.label], seed=edit_request.seed, attributes=edit_request.attributes,
        text=edit_request.text, steps=steps, temperature=None if edit_request.kind == UPSCALE else 1.0, helpers=helpers,
    )  # fmt: skip
    check_steps(request.steps)
    return edit, request, helpers
