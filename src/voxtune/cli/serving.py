"""The local page."""

from pathlib import Path
from typing import Literal

import click

from voxtune.cli.base import (
    PATH,
    command,
    device_option,
    echo,
    view_option,
)


@command("serve")
@click.argument("adapter", type=PATH)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=8765, show_default=True)
@click.option(
    "--base",
    type=PATH,
    help="Weights of the base (a file, or a folder with the tokenizer), where they are not found.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Scans worked on at once."
)
@click.option(
    "--keep", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True,
    help="Minutes until a result is deleted.",
)  # fmt: skip
@click.option(
    "--upload-limit", type=click.IntRange(1), default=1024, show_default=True, help="Largest upload, in MB."
)
@click.option(
    "--memory-limit", type=click.IntRange(1), default=8, show_default=True, help="For one scan, in GB."
)
@click.option(
    "--time-limit", type=click.IntRange(1), default=600, show_default=True, help="For one scan, in seconds."
)
@click.option("--root-path", default="", help="The path it has behind a proxy, such as /voxtune.")
@click.option(
    "--trusted-host",
    "trusted",
    multiple=True,
    metavar="NAME",
    help="A name it is asked by, as a proxy passes it; may be repeated.",
)
@click.option("--token-file", type=PATH, help="Holds the token, or is written with a new one.")
@device_option
@view_option
def serve(
    adapter: Path, host: str, port: int, base: Path | None, workers: int, keep: float, upload_limit: int, memory_limit: int,
    time_limit: int, root_path: str, trusted: tuple[str, ...], token_file: Path | None, device: str,
    view: Literal["radiological", "neurological"],
) -> None:  # fmt: skip
    """Open a page to drop scans on; on this machine only, unless --host and --trusted-host say otherwise.

    ADAPTER is a folder, a run, or 'demo' for the shipped one. The address with its token is printed.
    """
    from voxtune.commands.serve import serve as stage
    from voxtune.serving.access import Access
    from voxtune.serving.limits import Limits

    limits = Limits(
        workers=workers,
        keep_seconds=60 * keep,
        upload_bytes=upload_limit * 2**20,
        memory_bytes=memory_limit * 2**30,
        seconds=time_limit,
    )
    access = Access(host, port, root_path, trusted, token_file)
    stage(adapter, access=access, base=base, limits=limits, device=device, view=view, say=echo)
