"""`python -m noisette`, `torchrun -m noisette`, `accelerate launch -m noisette`."""

from .cli import main

main()
