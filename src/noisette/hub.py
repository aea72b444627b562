"""The Hugging Face Hub, asked only when somebody says so: models down by `hf://OWNER/NAME`, folders up by `upload`.

Nothing else here reaches a network. `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean to
huggingface_hub, which does the work and is the extra `hub`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError

PLACE = re.compile(r"hf:/{1,2}(?P<name>[^/@]+/[^/@]+?)(@(?P<revision>[^@]+))?/?")  # a Path has one slash of the two
NAME = re.compile(r"[\w.-]+/[\w.-]+")
FILES = ("config.json", "model.safetensors")  # all that a model is; nothing else is fetched


def is_place(path: str | Path) -> bool:
    """Whether this is a model of the hub, hf://OWNER/NAME or hf://OWNER/NAME@REVISION."""
    return str(path).startswith("hf:/")


def download(place: str | Path, files: Sequence[str] = FILES) -> Path:
    """The folder of a model, in the hub's cache on this machine; fetched if it is not there or has changed."""
    match = PLACE.fullmatch(str(place))
    if match is None:
        raise InputError(f"{place} is no model of the hub: it should be hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    with spoken(match["name"], files):
        from huggingface_hub import hf_hub_download

        paths = [hf_hub_download(match["name"], file, revision=match["revision"]) for file in files]
    return Path(paths[0]).parent


def upload(folder: Path, name: str, private: bool = True) -> str:
    """Put a folder's files into the repository OWNER/NAME, made if it is not there; its address.

    It takes the token that `hf auth login` left, or HF_TOKEN.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a repository of the hub: it should be OWNER/NAME")
    with spoken(name):
        from huggingface_hub import HfApi

        api = HfApi()
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="A model of Noisette")
    return str(address)


@contextmanager
def spoken(name: str, files: Sequence[str] = FILES) -> Iterator[None]:
    """What goes wrong on the way to the hub, in one sentence."""
    if find_spec("huggingface_hub") is None:
        raise InputError("huggingface_hub is not installed, which the hub needs: pip install 'noisette[hub]'")
    from huggingface_hub import errors

    broken: type[Exception] = vars(errors).get("HTTPError", OSError)  # of the library beneath, which has changed once
    try:
        yield
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise InputError(f"the hub cannot be reached for {name}, and it is not on this machine: {offline()}") from error
    except errors.HFValidationError as error:
        raise InputError(f"{name!r} is no name of a repository of the hub: {_first(error)}") from error
    except errors.EntryNotFoundError as error:
        raise InputError(
            f"{name} is on the hub, but is no model that can be used: it lacks {' or '.join(files)}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"the hub has no {name}, or it is private and your token is not: see hf auth login") from error
    except errors.HfHubHTTPError as error:
        raise InputError(f"the hub refused {name}: {_first(error)}") from error
    except (OSError, broken) as error:
        raise InputError(f"the hub cannot be reached for {name}: {_first(error)}") from error


def offline() -> str:
    """Why, as far as this machine knows."""
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "look at the network, or at HF_ENDPOINT"


def _first(error: Exception) -> str:
    """The first line of what a library said."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
