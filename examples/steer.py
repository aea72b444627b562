"""Steer a model: guide it to a label, fill in the lower half of a picture, sharpen a small one.

python examples/steer.py runs/mine PICTURE.png LABEL steered     (the picture has the model's size and mode)
"""

import sys
from pathlib import Path

import torch
from PIL import Image

import noisette
from noisette.data.contact_sheet import contact_sheet
from noisette.data.png import from_image, write_png
from noisette.diffusion.grid import trailing
from noisette.diffusion.guidance import Clipped, Consistent, Guided
from noisette.diffusion.noise import Seeded
from noisette.diffusion.operator import AveragePool
from noisette.diffusion.sampler import DDIM, Heun, Repaint, sample

folder, picture, label, out = sys.argv[1:]
model = noisette.load(folder)
photo = model.pictures.encode(from_image(Image.open(picture)))
mask = (torch.arange(photo.shape[2]) < photo.shape[2] // 2).float()[None, None, :, None].expand(1, 1, *photo.shape[2:])
small = AveragePool(4)(photo)
cat = model.condition(label, 4)
null = cat.null()
noise = Seeded(range(4))
z = noise(torch.empty(4, *model.pictures.shape)) * model.schedule(trailing(50)[0])[1]

# fmt: off
cats   = Clipped(Guided(model.given(cat), away=model.given(null), scale=3.0))
images = sample(cats, DDIM(), trailing(50), z, noise)
filled = sample(cats, Repaint(Heun(), photo, mask), trailing(50), z, noise)
sharp  = sample(Consistent(cats, AveragePool(4), small), DDIM(eta=1.0), trailing(100), z, noise.fresh())
# fmt: on

for name, drawn in {"images": images, "filled": filled, "sharp": sharp}.items():
    write_png(Path(out) / f"{name}.png", contact_sheet(model.pictures.decode_samples(drawn)))
