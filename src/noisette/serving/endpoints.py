"""What clients can ask for. Each method is an endpoint: its annotations are its OpenAPI document. It returns `Work`.

Nothing heavy is imported before an endpoint is called: the process that answers HTTP only checks the form of requests.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import InputError
from ..mcp_server.schema import check_arguments
from ..studio.limits import (
    MAX_EDIT_SAMPLES,
    MAX_FILE_BYTES,
    MAX_SAMPLES,
    check_count,
    check_steps,
)
from ..studio.request_fields import Attributes, EditNumber, Label, Labels, Number, Rounds, Seed, Steps, Text

if TYPE_CHECKING:
    from ..models.picture_model import PictureModel
    from ..studio.edit_kinds import EditRequest
    from .work import Work

ModelName = Annotated[str | None, "Name of a model, of /v1/models. Default: the first one."]
Picture = Annotated[str, f"The file of a picture, in base64; at most {MAX_FILE_BYTES // 2**20} MB before encoding."]


class Endpoints:
    """The endpoints. `find_model` gives a model by name; None is the first one."""

    def __init__(self, find_model: "Callable[[str | None], PictureModel]") -> None:
        self.find_model = find_model

    def draw(
        self, model: ModelName = None, number: Number = 1, labels: Labels = None, attributes: Attributes = None,
        text: Text = None, seed: Seed = 0, steps: Steps = None,
        sampler: Annotated[str | None, "Sampler, like ddim or heun. Default: the model's own."] = None,
        grid: Annotated[str | None, "Time grid, like karras. Default: the model's own."] = None,
        guidance: Annotated[
            float | None, "Guidance scale; 1: none, 2 to 4: closer to the label. Default: the model's own."
        ] = None,
    ) -> Any:  # fmt: skip
        """Generate new pictures, as `noisette sample` does."""
        from ..studio.program_requests import request_drawing
        from .work import Work

        found = self.find_model(model)
        request = request_drawing(
            found, number, labels or [], attributes or [], text, seed, steps, sampler, grid, guidance
        )
        return Work(found, request)

    def vary(
        self, picture: Picture, model: ModelName = None,
        strength: Annotated[float, "How much changes: above 0 (almost nothing) to 1 (all of it)."] = 0.5,
        number: EditNumber = 1, label: Label = None, attributes: Attributes = None, text: Text = None, seed: Seed = 0,
        steps: Steps = None,
    ) -> Any:  # fmt: skip
        """Generate variations of a picture, as `noisette edit vary` does."""
        from ..edit.vary import check_strength
        from ..studio.edit_kinds import VARY, EditRequest

        check_strength(strength)
        request = EditRequest(VARY, label, seed, number, strength, attributes=tuple(attributes or ()), text=text)
        return self._edit(model, picture, request, steps)

    def fill(
        self, picture: Picture,
        mask: Annotated[
            str | None,
            "A picture file, in base64, whose white pixels (if it has transparency: transparent pixels) are generated. "
            "Default: the transparent pixels of the picture.",
        ] = None,
        mask_rows: Annotated[
            list[str] | None, "Instead of mask: a text for each row of pixels, 1 for those to generate, 0 for others."
        ] = None,
        model: ModelName = None, rounds: Rounds = 5, number: EditNumber = 1, label: Label = None,
        attributes: Attributes = None, text: Text = None, seed: Seed = 0, steps: Steps = None,
    ) -> Any:  # fmt: skip
        """Fill in a part of a picture, as `noisette edit inpaint` does. The other pixels stay the same."""
        from ..studio.edit_kinds import INPAINT, EditRequest, read_marks

        if mask is not None and mask_rows is not None:
            raise InputError("mask and mask_rows both say what to generate: give one of them")
        if mask_rows is not None:
            marks = "\n".join(mask_rows)
        else:
            file = None if mask is None else decode_file("mask", mask)
            marks = read_marks(self.find_model(model), decode_file("picture", picture), file)
        request = EditRequest(
            INPAINT, label, seed, number, rounds=rounds, mask=marks, attributes=tuple(attributes or ()), text=text
        )
        return self._edit(model, picture, request, steps)

    def enlarge(
        self, picture: Picture, model: ModelName = None, rounds: Rounds = 3, number: EditNumber = 1,
        label: Label = None, attributes: Attributes = None, text: Text = None, seed: Seed = 0, steps: Steps = None,
    ) -> Any:  # fmt: skip
        """Enlarge a small picture to the model's size, as `noisette edit upscale` does. The model's size must be a
        whole multiple of the picture's."""
        from ..studio.edit_kinds import UPSCALE, EditRequest

        request = EditRequest(
            UPSCALE, label, seed, number, rounds=rounds, attributes=tuple(attributes or ()), text=text
        )
        return self._edit(model, picture, request, steps)

    def _edit(self, model: str | None, picture: str, request: "EditRequest", steps: int | None) -> "Work":
        from ..studio.program_requests import request_edit
        from .work import Work

        found = self.find_model(model)
        edit, sampling, helpers = request_edit(found, decode_file("picture", picture), request, steps)
        return Work(found, sampling, edit, helpers.image)


ENDPOINTS: Mapping[str, Callable[..., Any]] = {
    "draw": Endpoints.draw,
    "vary": Endpoints.vary,
    "fill": Endpoints.fill,
    "enlarge": Endpoints.enlarge,
}


def check_form(name: str, arguments: Mapping[str, Any], models: Mapping[str, object]) -> None:
    """Raise InputError for arguments that no model could accept: before they wait for their turn."""
    check_arguments(ENDPOINTS[name], arguments)
    check_count(arguments.get("number", 1), MAX_SAMPLES if name == "draw" else MAX_EDIT_SAMPLES)
    if arguments.get("steps") is not None:
        check_steps(arguments["steps"])
    if (model := arguments.get("model")) is not None:
        find_name(model, models)


def find_name(model: str | None, models: Mapping[str, object]) -> str:
    """The name of a served model; None is the first one."""
    from ..errors import lookup

    if model is None:
        return next(iter(models))
    lookup(model, models, "served model")
    return model


def decode_file(name: str, text: str) -> bytes:
    """The bytes of a file in base64. InputError where it is something else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{name} must be the file in base64, without line breaks and without data:") from error
