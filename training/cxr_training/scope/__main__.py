"""`python -m cxr_training.scope`: train the scope gate and measure it."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_training.scope.training import ScopeJob, train

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--data", required=True, type=_FOLDER, help="Children: NORMAL and PNEUMONIA.")
@click.option("--pictures", required=True, type=_FOLDER, help="Pictures of anything else.")
@click.option("--adults", required=True, type=_FOLDER, help="Chest films of adults.")
@click.option("--test", required=True, type=_FOLDER, help="Children to measure on.")
@click.option(
    "--measure",
    required=True,
    type=_FOLDER,
    help="Folder of folders to measure on, each named by what it holds.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New RUN folder.")
def main(data: Path, pictures: Path, adults: Path, test: Path, measure: Path, out: Path) -> None:
    """Train the scope gate, choose its limits on validation patients, and measure it."""
    if out.exists():
        raise click.UsageError(f"{out} exists; give --out a new folder")
    folders = {path.name.replace("_", " "): path for path in sorted(measure.iterdir())}
    run = train(ScopeJob(data, pictures, adults, out, folders, test))
    click.echo(f"run complete: {out}, limits {run['limits']}", err=True)


if __name__ == "__main__":
    main()
