"""The page behind its guard, as an ASGI application."""

import gradio as gr
from fastapi import FastAPI

from .guard import LARGEST, Guard
from .page import page
from .style import CSS, theme
from .trainer import Trainer
from .workspace import Workspace


def application(workspace: Workspace, trainer: Trainer, token: str | None = None, name: str = "localhost") -> Guard:
    """No file of the machine is served but what the page itself wrote, and nothing is kept of what visitors did."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    gr.mount_gradio_app(
        app, page(workspace, trainer), path="/", theme=theme(), css=CSS, show_error=False, max_file_size=LARGEST,
        footer_links=[], run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
    )  # fmt: skip
    return Guard(app, token, name)
