"""Classifier-free guidance in four lines.

python examples/guidance.py MODEL LABEL drawn.png
"""

import sys
from pathlib import Path

import torch

import noisette
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import write_png
from noisette.diffusion.grid import trailing
from noisette.diffusion.guidance import Clipped, Guided
from noisette.diffusion.noise import Seeded
from noisette.diffusion.sampler import DDIM, sample

folder, label, out = sys.argv[1:]
model, grid, noise = noisette.load(folder), trailing(50), Seeded(range(4))
z = noise(torch.empty(4, *model.pictures.shape)) * model.schedule(grid[0])[1]

cond = model.condition(label, 4)
towards, away = model.given(cond), model.given(cond.null())
guided = Clipped(Guided(towards, away, scale=3.0))
images = sample(guided, DDIM(), grid, z, noise)

write_png(Path(out), contact_sheet(model.pictures.decode_samples(images)))
