"""The arguments that requests of other programs share, with the descriptions that their schemas show."""

from typing import Annotated

from .limits import MAX_EDIT_SAMPLES, MAX_ROUNDS, MAX_SAMPLES, MAX_STEPS

Label = Annotated[str | None, "Label of the result, or a mixture like potion:0.5,sword:0.5. Default: none."]
Labels = Annotated[list[str] | None, "Labels, used in turn. Default: all labels of the model in turn."]
Attributes = Annotated[list[str] | None, 'Attributes, like "hue=0.3" or "shape=round".']
Text = Annotated[str | None, 'Caption, like "a red fish", for a model that was trained with captions.']
Number = Annotated[int, f"Number of pictures, 1 to {MAX_SAMPLES}."]
EditNumber = Annotated[int, f"Number of pictures, 1 to {MAX_EDIT_SAMPLES}."]
Seed = Annotated[int, "Seed of the first picture; picture i has seed + i. The same seed gives the same picture."]
Steps = Annotated[int | None, f"Sampling steps, 1 to {MAX_STEPS}. Default: the model's own."]
Rounds = Annotated[int, f"How often each step is taken, 1 to {MAX_ROUNDS}; more: slower, a better fit."]
