"""The Hugging Face Hub: download of models named `hf://OWNER/NAME`, and upload of folders.

No other module uses the network. It needs huggingface_hub (the extra `hub`), which reads the environment variables
`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ..errors import InputError, first_line

HUB_URL = re.compile(
    r"hf:/{1,2}(?P<name>[^/@]+/[^/@]+?)(@(?P<revision>[^@]+))?/?"
)  # Path("hf://…") keeps only one slash
COMMIT = re.compile(r"[0-9a-f]{40}")
REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
MODEL_FILES = ("config.json", "model.safetensors")  # all that is downloaded


def is_hub_url(path: str | Path) -> bool:
    """Whether `path` names a model on the hub: hf://OWNER/NAME or hf://OWNER/NAME@REVISION."""
    return str(path).startswith("hf:/")


def download(url: str | Path, files: Sequence[str] = MODEL_FILES) -> Path:
    """The local cache folder of a model on the hub, downloaded if it is missing or has changed.

    All files are of one revision: that of the first. A revision that is a commit, 40 hexadecimal digits, must be it.
    """
    match = HUB_URL.fullmatch(str(url))
    if match is None:
        raise InputError(f"{url} is not a model on the hub: it should be hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    with explain_hub_errors(match["name"], files):
        from huggingface_hub import hf_hub_download

        folder = Path(hf_hub_download(match["name"], files[0], revision=match["revision"])).parent
        commit = folder.name if COMMIT.fullmatch(folder.name) else match["revision"]
        _require_commit(match["name"], folder, match["revision"])
        for file in files[1:]:
            _require_commit(match["name"], Path(hf_hub_download(match["name"], file, revision=commit)).parent, commit)
    return folder


def _require_commit(repo_id: str, folder: Path, revision: str | None) -> None:
    """Raise InputError if a revision is a commit, and the cache folder of a downloaded file is that of another one."""
    if revision and COMMIT.fullmatch(revision) and folder.name != revision:
        raise InputError(f"the hub gave the revision {folder.name} of {repo_id}, not {revision}")


def pin(url: str | Path, folder: Path) -> str:
    """The URL of a model on the hub with the commit of `folder`, which `download` returned."""
    match = HUB_URL.fullmatch(str(url))
    return f"hf://{match['name']}@{folder.name}" if match and COMMIT.fullmatch(folder.name) else str(url)


def upload(folder: Path, repo_id: str, private: bool = True) -> str:
    """Upload a folder's files to the repository OWNER/NAME, created if missing; returns its URL.

    Uses the token stored by `hf auth login`, or HF_TOKEN.
    """
    if not REPO_ID.fullmatch(repo_id):
        raise InputError(f"{repo_id!r} is not the name of a repository on the hub: it should be OWNER/NAME")
    with explain_hub_errors(repo_id):
        from huggingface_hub import HfApi

        api = HfApi()
        address = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="A model of Noisette")
    return str(address)


@contextmanager
def explain_hub_errors(repo_id: str, files: Sequence[str] = MODEL_FILES) -> Iterator[None]:
    """Convert errors of huggingface_hub, raised in the `with` block, to an `InputError` of one sentence."""
    if find_spec("huggingface_hub") is None:
        raise InputError("the hub needs huggingface_hub, which is not installed: pip install 'noisette[hub]'")
    from huggingface_hub import errors

    broken: type[Exception] = vars(errors).get(
        "HTTPError", OSError
    )  # of the HTTP library that it uses, which differs by version
    try:
        yield
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise InputError(
            f"the hub cannot be reached for {repo_id}, which is not in the local cache: {offline_reason()}"
        ) from error
    except errors.HFValidationError as error:
        raise InputError(f"{repo_id!r} is not the name of a repository on the hub: {first_line(error)}") from error
    except errors.EntryNotFoundError as error:
        raise InputError(
            f"{repo_id} is on the hub but is not a Noisette model: it lacks {' or '.join(files)}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"the hub has no {repo_id}, or it is private and your token has no access: run hf auth login"
        ) from error
    except errors.HfHubHTTPError as error:
        raise InputError(f"the hub refused {repo_id}: {first_line(error)}") from error
    except (OSError, broken) as error:
        raise InputError(f"the hub cannot be reached for {repo_id}: {first_line(error)}") from error


def offline_reason() -> str:
    """The likely reason why the hub cannot be reached."""
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "check the network and HF_ENDPOINT"
