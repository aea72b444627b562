"""noisette serve: an HTTP API that draws for many clients at once."""

import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from ..errors import InputError, check_range
from .bounds import check_minimum
from .global_options import split_global_options

MAX_SECONDS = 3600.0  # that an answer may take


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Run folders, model folders or shipped models' names. Clients name them by the folder; the first is "
            "the default.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on. With any but 127.0.0.1, other machines can send requests.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = 8000,
    host_name: Annotated[
        str, typer.Option(metavar="NAME", help="Name by which clients call this server, beside its addresses.")
    ] = "localhost",
    replicas: Annotated[
        int, typer.Option(help="Processes that draw; each has the models in memory.")
    ] = 1,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Pictures drawn at once by each of them. Default: 64 on a CPU, else 256.", show_default=False,
        ),
    ] = None,
    queue: Annotated[
        int, typer.Option(help="Requests that may wait or be drawn; further ones get status 429.")
    ] = 256,
    timeout: Annotated[
        float, typer.Option(help="Seconds that an answer may take; then the request is dropped.")
    ] = 60.0,
    token: Annotated[
        bool,
        typer.Option(
            "--token/--no-token",
            help="Require a token: that in NOISETTE_TOKEN, or a new one, which is printed.",
        ),
    ] = True,
) -> None:  # fmt: skip
    """Serve models over HTTP: draw, vary, fill and enlarge, for many clients at once. Ctrl-C or SIGTERM ends it.

    Requests that arrive together are drawn in one batch; the pixels do not depend on the others. The API is described
    at /openapi.json. A model whose folder changes is loaded again. Requests that wait at the end are still answered.
    """
    for package in ("litserve", "prometheus_client"):
        if find_spec(package) is None:
            raise InputError(f"this command needs {package}, which is not installed: pip install 'noisette[serve]'")
    for option, value in (("--replicas", replicas), ("--batch", batch), ("--queue", queue)):
        check_minimum(option, value)
    check_range("--timeout", timeout, 0.1, MAX_SECONDS)
    from ..serving.serve import serve as run
    from ..serving.served_models import name_models

    run(
        name_models(models), host=host, port=port, host_name=host_name, replicas=replicas, batch=batch, queue=queue,
        seconds=timeout, has_token=token, prepare=split_global_options(sys.argv[1:]).apply, on_ready=_announce,
    )  # fmt: skip


def _announce(address: str, token: str | None) -> None:
    typer.echo(f"serving at {address}" + ("" if token is None else f" with the token {token}"))
    sys.stdout.flush()
