"""Serves the benchmark model, and released ones beside it, through the same `create_app` as `bedside serve`.

    python -m benchmarks.serve --port PORT --state FOLDER --model-folder FOLDER [--models benchmark,sepsis]
        [--journal off|normal|full]

`off` is a journal that keeps nothing, to see what the real one costs. The product has no such setting.
"""

import argparse
from pathlib import Path

from benchmarks.load import HOST
from benchmarks.memory_journal import MemoryJournal
from benchmarks.model import BENCHMARK, BenchmarkModel
from models.bundle import load
from models.catalog import find
from serving.app import ServedEntry, create_app
from serving.assess import ServedModel, serve
from serving.listening import bound, serve_alone
from serving.settings import Settings

JOURNALS = ("off", "normal", "full")


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--models", default=f"{BENCHMARK},sepsis", help="service ids, separated by commas")
    parser.add_argument("--journal", choices=JOURNALS, default="full")
    parser.add_argument("--model-folder", type=Path, required=True, help="of the benchmark model, made before")
    arguments = parser.parse_args()
    model = BenchmarkModel(folder=arguments.model_folder)
    served = {
        model_id: ServedEntry(served_model(model_id, model), model.folder / "examples")
        for model_id in arguments.models.split(",")
    }
    settings = Settings(
        state=arguments.state,
        public_url=f"http://{HOST}:{arguments.port}",
        as_of="latest-observation",
        journal_sync="normal" if arguments.journal == "normal" else "full",
    )
    journal = MemoryJournal() if arguments.journal == "off" else None
    application = create_app(settings, models=served, journal=journal)
    with bound(HOST, arguments.port) as sockets:
        serve_alone(application, sockets)


def served_model(model_id: str, model: BenchmarkModel) -> ServedModel:
    """A copy of the benchmark model, or a released model of the catalog, ready to assess."""
    if model_id.split("-", maxsplit=1)[0] == BENCHMARK:
        return serve(model.entry(model_id), model.bundle(model_id))
    entry = find(model_id)
    if entry.released is None:
        raise SystemExit(f"{model_id}: expected a released bundle; there is none.")
    return serve(entry, load(entry.released, entry.spec))


if __name__ == "__main__":
    main()
