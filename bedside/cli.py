"""The `bedside` command: which verbs there are, in the order of the help."""

import typer

from bedside.commands import bundle, card, conform, demo, download, extract, inspect, meds, serve, train

app = typer.Typer(
    name="bedside",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Clinical risk models at the bedside: FHIR in, a calibrated and explained CDS Hooks card out. "
    "Research software, not a medical device.",
)
for verb in (
    serve.serve,
    train.train,
    extract.extract,
    meds.meds,
    download.download,
    inspect.inspect,
    card.card,
    conform.conform,
    demo.demo,
):
    app.command()(verb)
app.add_typer(bundle.app, name="bundle")


if __name__ == "__main__":
    app()
