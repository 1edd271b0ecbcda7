"""The notebook runs from top to bottom on a product with the simulated shop in it."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
from pathlib import Path

import httpx
import nbformat
from nbclient import NotebookClient

from tests.servers.product import Product

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "tour.ipynb"
SIMULATE = ("simulate", "--backfill", "6h", "--duration", "0", "--rate", "0.1", "--seed", "7")


async def test_the_notebook_shows_the_shop(product: Product) -> None:
    program = (sys.executable, "-m", "tidegauge.cli.main", *SIMULATE, "--endpoint", product.otlp_url)
    filling = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    _, said = await filling.communicate()
    assert filling.returncode == 0, said.decode()
    await _mapped(product)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    environment = {**os.environ, "TIDEGAUGE_CLIENT_URL": product.api_url, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    executed = await NotebookClient(notebook, timeout=60, kernel_name="python3").async_execute(env=environment)
    services = ast.literal_eval(_text(executed, "queries.services()"))
    assert {"cart", "checkout", "frontend", "inventory", "payment"} <= set(services)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    plots = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(plots) == 4
    assert "frontend" in _text(executed, "queries.service_map")


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)


async def _mapped(product: Product) -> None:
    """Return when the service map has the hours that were sent: maintenance makes it of them."""
    async with httpx.AsyncClient(base_url=product.api_url) as client, asyncio.timeout(60):
        while "frontend" not in (await client.get("/api/v1/service-map", params={"start": "now-6h"})).text:  # noqa: ASYNC110 the service tells nobody
            await asyncio.sleep(0.2)


def _text(notebook: nbformat.NotebookNode, source: str) -> str:
    """What the cell with this in its source has answered."""
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and source in cell.source]
    return "".join(output["data"]["text/plain"] for output in cell.outputs if "text/plain" in output.get("data", {}))
