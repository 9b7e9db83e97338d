"""What a bulk export is asked for, and what its manifest says that it consists of.

FHIR Bulk Data Access 2.0 (https://hl7.org/fhir/uv/bulkdata/STU2/export.html).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from features.client.errors import NotFhirError
from features.client.state import ExportFile, Kind, Manifest
from features.client.transport import Answer
from features.client.urls import Origin, follow, query, shown
from features.files.sources import EXPORT_DELETED, EXPORT_ERRORS

Level: TypeAlias = Literal["system", "patient", "group"]

NDJSON = "application/fhir+ndjson"
_FOLDERS: dict[Kind, str] = {"output": "", "error": f"{EXPORT_ERRORS}/", "deleted": f"{EXPORT_DELETED}/"}
_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR R4, datatypes, id


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export: of the whole system, of all patients, or of a group; only these types, only what is newer.

    `more` are other parameters of the standard, such as `_typeFilter`.
    """

    level: Level = "patient"
    group_id: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    output_format: str = NDJSON
    more: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if (self.level == "group") != (self.group_id is not None):
            raise ValueError("Expected the id of a group if, and only if, a group is exported.")
        if self.group_id is not None and not _FHIR_ID.fullmatch(self.group_id):
            raise ValueError("Expected the id of a group of 1 to 64 letters, digits, '-' and '.'.")
        if not all(name.isascii() and name.isalpha() for name in self.types):
            raise ValueError("Expected the names of resource types, such as Observation.")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("Expected `since` with a time zone.")

    def url(self, base: str) -> str:
        """The URL that begins the export."""
        operation = {"system": "$export", "patient": "Patient/$export", "group": f"Group/{self.group_id}/$export"}
        parameters = [("_outputFormat", self.output_format)]
        if self.types:
            parameters.append(("_type", ",".join(self.types)))
        if self.since is not None:
            parameters.append(("_since", self.since.isoformat()))
        return f"{base}/{operation[self.level]}?{query([*parameters, *self.more])}"


class _ManifestFile(msgspec.Struct, frozen=True):
    url: str
    type: str | None = None
    count: int | None = None


class _Link(msgspec.Struct, frozen=True):
    relation: str = ""


class _Manifest(msgspec.Struct, frozen=True):
    transactionTime: str  # noqa: N815
    requiresAccessToken: bool  # noqa: N815
    output: tuple[_ManifestFile, ...]
    error: tuple[_ManifestFile, ...] = ()
    deleted: tuple[_ManifestFile, ...] = ()
    link: tuple[_Link, ...] = ()


def read_manifest(answer: Answer, *, base: str, other_origins: Iterable[Origin] = ()) -> Manifest:
    """What a finished export consists of.

    Raises:
        OtherOriginError: a file is on another origin than those allowed; none but the server's own gets a token.
        NotFhirError: it is no manifest, or one of several parts.
    """
    try:
        found = msgspec.json.decode(answer.body, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotFhirError(f"{shown(answer.url)}: expected the manifest of an export as JSON.") from error
    if any(link.relation == "next" for link in found.link):
        raise NotFhirError(f"{shown(answer.url)}: expected a manifest as a whole, got one in parts.")
    listed: dict[Kind, tuple[_ManifestFile, ...]] = {
        "output": found.output,
        "error": found.error,
        "deleted": found.deleted,
    }
    allowed = frozenset() if found.requiresAccessToken else frozenset(other_origins)
    files = tuple(
        ExportFile(
            path=f"{_FOLDERS[kind]}{_type_name(file)}.{number:04d}.ndjson",
            url=follow(file.url, seen_at=answer.url, base=base, others=allowed),
            kind=kind,
            resources=file.count,
        )
        for kind, of_kind in listed.items()
        for number, file in enumerate(of_kind, start=1)
    )
    return Manifest(
        transaction_time=found.transactionTime, requires_access_token=found.requiresAccessToken, files=files
    )


def _type_name(file: _ManifestFile) -> str:
    """The type of a file's resources as part of its name; never a path that the server makes up."""
    name = file.type or ""
    return name if name.isascii() and name.isalpha() else "Resource"
