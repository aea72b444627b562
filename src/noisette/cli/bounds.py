"""Bounds of the whole numbers that options take.

The most is checked before a command opens or reads anything; the least, which depends on the command, by the command.
"""

from ..errors import InputError

MAXIMA = {
    "--accumulate": 2**16,
    "--batch": 2**12,
    "--border-width": 1024,
    "--channels": 64,
    "--colors": 256,
    "--columns": 2**12,
    "--components": 2**12,
    "--crop": 1024,
    "--evaluations": 1000,
    "--extra-images": 10**12,
    "--extrude": 16,
    "--factor": 64,
    "--frame-ms": 60_000,
    "--frames": 1000,
    "--head-channels": 2**14,
    "--heads": 2**14,
    "--hold-ms": 60_000,
    "--keyframes": 1000,
    "--margin": 256,
    "--max-shift": 64,
    "--port": 2**16 - 1,
    "--queue": 100_000,
    "--replicas": 64,
    "--rounds": 1000,
    "--scale": 256,
    "--seed": 2**64 - 1,
    "--spacing": 256,
    "--steps": 10_000,
    "--tile": 256,
    "--train-timesteps": 100_000,
    "-n": 10**6,
}
COMMAND_MAXIMA = {  # where a command takes more or less than others
    ("evaluate", "-n"): 10**5,  # features of all samples are in memory
    ("film", "-n"): 1000,
    ("hspace", "-n"): 10**5,
    ("sample", "-n"): 10**9,  # drawn part by part
    ("steps", "-n"): 10**5,
    ("train", "--batch"): 2**16,
    ("train-autoencoder", "--batch"): 2**16,
    ("train-autoencoder", "--factor"): 32,
    ("train-classifier", "--batch"): 2**16,
}


def check_minimum(option: str, value: int | None, least: int = 1) -> None:
    """Raise InputError for a number below `least`."""
    if value is not None and value < least:
        raise InputError(f"{option} must be at least {least}, got {value}")


def find_maximum(command: str, option: str) -> int | None:
    """The most that an option of a command takes; None if it has no bound."""
    return COMMAND_MAXIMA.get((command, option), MAXIMA.get(option))


def check_maximum(command: str, option: str, value: object) -> None:
    """Raise InputError for a whole number, or one in a list, above the most that the option takes."""
    most = find_maximum(command, option)
    for number in value if isinstance(value, list | tuple) else (value,):
        if most is not None and isinstance(number, int) and number > most:
            raise InputError(f"{option} must be at most {most:,}, got {number:,}")
