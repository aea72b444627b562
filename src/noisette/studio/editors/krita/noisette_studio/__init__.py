"""Noisette for Krita: draws, varies or fills in the selection with a model of the running `noisette studio`."""

from krita import Extension, Krita

from .canvas import Canvas
from .client import Studio, StudioError
from .dialog import ask_address, ask_options, show_problem


class NoisetteExtension(Extension):
    """The entry in Tools > Scripts. The address is kept until Krita is closed, and never written to a file."""

    def __init__(self, parent):
        super().__init__(parent)
        self.address, self.options = "", None

    def setup(self):
        """Krita calls this once."""

    def createActions(self, window):  # noqa: N802 (Krita's name)
        """Krita calls this for each window."""
        action = window.createAction("noisette_studio", "Noisette", "tools/scripts")
        action.triggered.connect(self.run)

    def run(self):
        """Ask, draw, and add the layers; a problem is shown in one sentence."""
        try:
            self._run()
        except StudioError as problem:
            show_problem(str(problem))

    def _run(self):
        document = Krita.instance().activeDocument()
        if document is None:
            raise StudioError("open a picture first")
        address = ask_address(self.address)
        if address is None:
            return
        studio = Studio(address)
        models = studio.call("models", [])
        self.address = address
        options = ask_options(models, self.options)
        if options is None:
            return
        self.options = options
        model = studio.call("describe", [options.model])
        canvas = Canvas(document, model["width"], model["height"])
        for i, picture in enumerate(studio.draw(canvas, options, model["takes_text"])):
            canvas.add_layer(picture, f"noisette {options.action}, seed {options.seed + i}", options.action)
        document.refreshProjection()


Krita.instance().addExtension(NoisetteExtension(Krita.instance()))
