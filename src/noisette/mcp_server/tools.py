"""The tools: what a client can ask for. Each method is one; its annotations are what the client reads.

Nothing heavy is imported before a tool is called, so that the list of tools is there at once.
"""

from threading import Lock
from typing import TYPE_CHECKING, Annotated

from ..errors import InputError
from ..studio.request_fields import Attributes, EditNumber, Label, Labels, Number, Rounds, Seed, Steps, Text
from .answer import Answer
from .job import Job

if TYPE_CHECKING:
    from ..studio.edit_kinds import EditRequest
    from .drawing import Drawing
    from .place import Place

Model = Annotated[str, "Name of a model, of list_models."]
Picture = Annotated[str, "Path of a picture file in the workspace."]
Out = Annotated[str, "Folder of the workspace to write into, new or existing. No file is replaced."]
DryRun = Annotated[bool, "Write nothing: answer how many seconds it takes, and which files it writes."]


class Tools:
    """The tools of one workspace. One call at a time does its work; the others wait."""

    def __init__(self, place: "Place") -> None:
        self.place, self.lock = place, Lock()

    def list_models(self, job: Job) -> Answer:
        """List the models of the workspace and those that ship with Noisette: size, labels, and what each can do."""
        from ..errors import InputError
        from ..studio.description import describe_model

        models = []
        for name in self.place.workspace.list_models():
            job.check()
            try:
                models.append({"name": name} | describe_model(self.place.read_config(name)))
            except InputError as error:
                models.append({"name": name, "error": str(error)})
        return Answer({"models": models})

    def scan(
        self,
        job: Job,
        folder: Annotated[str, "Folder of pictures in the workspace; its sub-folders are labels."],
        dry_run: DryRun = False,
    ) -> Answer:
        """Read every picture of a folder, and report sizes, colors, alpha, labels, copies and unusable files. Writes
        nothing."""
        from .pictures import plan_scan, scan_folder

        return plan_scan(self.place, folder) if dry_run else scan_folder(self.place, folder, job)

    def draw(
        self, job: Job, model: Model, out: Out, number: Number = 4, labels: Labels = None,
        attributes: Attributes = None, text: Text = None, seed: Seed = 0, steps: Steps = None,
        sampler: Annotated[str | None, "Sampler, like ddim or heun. Default: the model's own."] = None,
        grid: Annotated[str | None, "Time grid, like karras. Default: the model's own."] = None,
        guidance: Annotated[
            float | None, "Guidance scale; 1: none, 2 to 4: closer to the label. Default: the model's own."
        ] = None,
        dry_run: DryRun = False,
    ) -> Answer:  # fmt: skip
        """Generate new pictures, as `noisette sample` does: PNG files, and grid.png with all of them enlarged."""
        from .drawing import prepare_drawing

        drawing = prepare_drawing(
            self.place.load_model(model), number, labels or [], attributes or [], text, seed, steps, sampler, grid,
            guidance,
        )  # fmt: skip
        return self._draw(job, out, drawing, dry_run)

    def vary(
        self, job: Job, model: Model, picture: Picture, out: Out,
        strength: Annotated[float, "How much changes: above 0 (almost nothing) to 1 (all of it)."] = 0.5,
        number: EditNumber = 4, label: Label = None, attributes: Attributes = None, text: Text = None, seed: Seed = 0,
        steps: Steps = None, dry_run: DryRun = False,
    ) -> Answer:  # fmt: skip
        """Generate variations of a picture, as `noisette edit vary` does."""
        from ..studio.edit_kinds import VARY, EditRequest

        request = EditRequest(VARY, label, seed, number, strength, attributes=tuple(attributes or ()), text=text)
        return self._edit(job, model, picture, out, request, steps, dry_run)

    def inpaint(
        self, job: Job, model: Model, picture: Picture, out: Out,
        mask: Annotated[
            str | None,
            "Path of a picture whose white pixels (if it has transparency: transparent pixels) are generated. Default: "
            "the transparent pixels of the picture.",
        ] = None,
        mask_rows: Annotated[
            list[str] | None, "Instead of mask: a text for each row of pixels, 1 for those to generate, 0 for others."
        ] = None,
        rounds: Rounds = 5, number: EditNumber = 4, label: Label = None, attributes: Attributes = None,
        text: Text = None, seed: Seed = 0, steps: Steps = None, dry_run: DryRun = False,
    ) -> Answer:  # fmt: skip
        """Fill in a part of a picture, as `noisette edit inpaint` does. The other pixels stay the same."""
        from ..studio.edit_kinds import INPAINT, EditRequest, read_marks

        if mask is not None and mask_rows is not None:
            raise InputError("mask and mask_rows both say what to generate: give one of them")
        if mask_rows is not None:
            marks = "\n".join(mask_rows)
        else:
            data = None if mask is None else self.place.read_picture(mask)
            marks = read_marks(self.place.load_model(model), self.place.read_picture(picture), data)
        request = EditRequest(
            INPAINT, label, seed, number, rounds=rounds, mask=marks, attributes=tuple(attributes or ()), text=text
        )
        return self._edit(job, model, picture, out, request, steps, dry_run)

    def upscale(
        self, job: Job, model: Model, picture: Picture, out: Out, rounds: Rounds = 3, number: EditNumber = 4,
        label: Label = None, attributes: Attributes = None, text: Text = None, seed: Seed = 0, steps: Steps = None,
        dry_run: DryRun = False,
    ) -> Answer:  # fmt: skip
        """Enlarge a small picture to the model's size, as `noisette edit upscale` does. The model's size must be a
        whole multiple of the picture's."""
        from ..studio.edit_kinds import UPSCALE, EditRequest

        request = EditRequest(
            UPSCALE, label, seed, number, rounds=rounds, attributes=tuple(attributes or ()), text=text
        )
        return self._edit(job, model, picture, out, request, steps, dry_run)

    def sheet(
        self, job: Job, folder: Annotated[str, "Folder of pictures of one size in the workspace."], out: Out,
        kind: Annotated[str, "File that describes the sheet: aseprite, phaser, tiled, godot or css."],
        name: Annotated[str, "Name of the files, without their endings."] = "sheet",
        columns: Annotated[int | None, "Pictures side by side. Default: the sheet is about square."] = None,
        extrude: Annotated[int, "How often the edge pixels of each picture are repeated around it, 0 to 16."] = 0,
        power_of_two: Annotated[bool, "Width and height of the sheet are powers of two."] = False,
        frame_ms: Annotated[int, "Milliseconds that a frame of an animation is shown."] = 100,
        dry_run: DryRun = False,
    ) -> Answer:  # fmt: skip
        """Pack the pictures of a folder into one PNG for a game engine, as `noisette sheet` does, with the file by
        which the engine cuts it."""
        from .pictures import SheetRequest, plan_sheet, write_sheet

        request = SheetRequest(folder, out, kind, name, columns, extrude, power_of_two, frame_ms)
        return plan_sheet(self.place, request) if dry_run else write_sheet(self.place, request, job)

    def _edit(
        self, job: Job, model: str, picture: str, out: str, request: "EditRequest", steps: int | None, dry_run: bool
    ) -> Answer:
        from .drawing import prepare_edit_drawing

        data = self.place.read_picture(picture)
        return self._draw(
            job, out, prepare_edit_drawing(self.place.load_model(model), data, picture, request, steps), dry_run
        )

    def _draw(self, job: Job, out: str, drawing: "Drawing", dry_run: bool) -> Answer:
        from .drawing import plan_drawing, write_drawing

        return (plan_drawing if dry_run else write_drawing)(self.place, out, drawing, job)


TOOL_NAMES = ("list_models", "scan", "draw", "vary", "inpaint", "upscale", "sheet")
READ_ONLY = ("list_models", "scan")
