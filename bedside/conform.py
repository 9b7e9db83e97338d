"""`bedside conform`: holds any CDS Hooks server to the requirements and prints the table of what was found."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cds_hooks.conformance.checker import Check, Report, check
from cds_hooks.conformance.client import Limits, TargetError, base_url_of
from cds_hooks.conformance.finding import Result, Verdict
from cds_hooks.conformance.guidance import example_request
from cds_hooks.conformance.samples import Json
from cds_hooks.cors import CorsPolicy
from cds_hooks.requirements import BINDING, GROUPS, Requirement, load_requirements
from features.client.signing import KeyFileError, load_key

STYLES = {
    Verdict.MET: "green",
    Verdict.NOT_MET: "bold red",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.UNSEEN: "yellow",
}
ALL_MET, NOT_CHECKED, BROKEN, ADVICE_NOT_TAKEN = 0, 1, 3, 4
"""Exit statuses; 1: the check could not be made, or no service was found that it could be made of."""
TOKEN_SECONDS = 60
"""Between `iat` and `exp` of a signed token: a call takes seconds."""


class ConformError(Exception):
    """The check cannot be made; the message says what was expected."""


def wanted_check(
    url: str,
    *,
    service: str | None = None,
    requests: Sequence[Path] = (),
    token_file: Path | None = None,
    issuer: str | None = None,
    key_file: Path | None = None,
    key_id: str | None = None,
    ca_file: Path | None = None,
    origin: str | None = None,
    seconds: float | None = None,
) -> Check:
    """The check that the command line describes.

    Args:
        url: of the server.
        service: this one alone.
        requests: files of synthetic requests that get a card.
        token_file: a bearer token that is sent with every call.
        issuer: of the tokens that are signed with the key of `key_file`, one for each call.
        key_file: a registered client's private key, as JWK or PEM.
        key_id: of a PEM key.
        ca_file: certificates to trust.
        origin: of the browser that is imitated.
        seconds: how long the check may take.

    Raises:
        ConformError: an URL, a file or a number that cannot be used.
    """
    authorization = _authorization(token_file) if key_file is None else _signing(issuer, key_file, key_id)
    if token_file is not None and key_file is not None:
        raise ConformError("Expected a token or a key to sign tokens with, got both.")
    with_token = token_file is not None or key_file is not None
    try:
        fields: dict[str, object] = {} if origin is None else {"origin": _origin(origin)}
        return Check(
            base_url=base_url_of(url, with_token=with_token),
            service_id=service,
            requests=dict(_request(path) for path in requests),
            authorization=authorization,
            ca_file=ca_file,
            limits=Limits() if seconds is None else Limits(total_seconds=seconds),
            **fields,  # type: ignore[arg-type]  # a string by its name
        )
    except TargetError as error:
        raise ConformError(str(error)) from error


def announcement(wanted: Check) -> str:
    """What the check will do, said before it does it."""
    which = "every service that it lists" if wanted.service_id is None else f"its service {wanted.service_id}"
    return (
        f"Checking {wanted.base_url}: discovery, and {which}, with about two hundred requests each, in at most "
        f"{wanted.limits.total_seconds:.0f} s. All patients are invented. Some requests are broken on purpose, one has "
        "16 MiB. Feedback is sent about cards that this check was shown, and about none: a server that counts outcomes "
        "will count them. The FHIR server that is named does not exist."
    )


def conform(wanted: Check, progress: Callable[[str, int, int], None]) -> Report:
    """Make the check. Raises ConformError if nobody answers, or the service is not listed."""
    try:
        return check(wanted, progress)
    except TargetError as error:
        raise ConformError(str(error)) from error


def exit_status(report: Report) -> int:
    """0 only if a service was checked and nothing is not met; 3 if something binding is broken, 4 if advice alone."""
    levels = {result.level for result in report.results if result.verdict is Verdict.NOT_MET}
    if levels & BINDING:
        return BROKEN
    if not report.services:
        return NOT_CHECKED
    return ADVICE_NOT_TAKEN if levels else ALL_MET


def print_report(console: Console, report: Report) -> None:
    """The table by group, then what is not met once more, then the sums."""
    requirements = load_requirements()
    for letter, title in GROUPS.items():
        results = [each for each in report.results if each.id[0] == letter]
        if results:
            console.print(_table(title, results, requirements))
    broken = [each for each in report.results if each.verdict is Verdict.NOT_MET]
    if broken:
        console.print(_table("Not met", broken, requirements))
    counts = {verdict: sum(each.verdict is verdict for each in report.results) for verdict in Verdict}
    console.print(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items()), highlight=False)
    if not report.complete:
        console.print(
            "The limits of the check were reached before its end: --seconds gives it more time, --service less to do.",
            style="yellow",
        )
    if not report.services:
        console.print("No service was checked: discovery lists none, or was refused.", style="yellow")
    services = ", ".join(report.services) or "none"
    line = f"{report.calls} requests in {report.seconds} s; services: {services}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_report(report: Report, path: Path) -> None:
    """The report as JSON. Raises ConformError if it cannot be written."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    except OSError as error:
        raise ConformError(f"The report cannot be written: {error}.") from error


def _table(title: str, results: Sequence[Result], requirements: Mapping[str, Requirement]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("Id", no_wrap=True)
    table.add_column("Level", no_wrap=True)
    table.add_column("Requirement", ratio=3)
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Evidence", ratio=3)
    for each in results:
        verdict = Text(each.verdict.value, STYLES[each.verdict])
        # Text, not markup: what a server says is shown as it is.
        table.add_row(each.id, each.level, Text(requirements[each.id].text), verdict, Text(each.evidence))
    return table


def _origin(text: str) -> str:
    try:
        (origin,) = CorsPolicy(origins=(text,)).origins
    except ValueError as error:
        raise ConformError(str(error)) from error
    if origin == "*" or not origin.isascii() or not origin.isprintable():
        raise ConformError(f"Expected one web origin, such as https://ehr.example, got {text!r}.")
    return origin


def _request(path: Path) -> tuple[str, Json]:
    try:
        document = example_request(path.read_bytes())
    except OSError as error:
        raise ConformError(f"The request cannot be read: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConformError(f"{path}: expected a CDS Hooks request as JSON: {error}") from error
    return str(document["hook"]), document


def _authorization(token_file: Path | None) -> Callable[[str], str | None]:
    if token_file is None:
        return lambda _: None
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConformError(f"The token cannot be read from {token_file}: {type(error).__name__}.") from error
    if not token or not token.isprintable() or " " in token:
        raise ConformError(f"{token_file}: expected one bearer token and nothing else.")
    return lambda _: token


def _signing(issuer: str | None, key_file: Path, key_id: str | None) -> Callable[[str], str]:
    """A new token for each call, as a registered client makes it (CDS Hooks, Trusting CDS Clients)."""
    if not issuer:
        raise ConformError("Expected the issuer under which the client is registered, got none: --issuer.")
    try:
        key = load_key(key_file, key_id=key_id)
    except KeyFileError as error:
        raise ConformError(str(error)) from error

    def token(url: str) -> str:
        now = int(time.time())
        return key.sign({"iss": issuer, "aud": url, "iat": now, "exp": now + TOKEN_SECONDS, "jti": str(uuid4())})

    return token
