"""Limits of FHIR access: a slow, huge or endless FHIR server costs its own calls their data, and no others anything."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process spends.

    Attributes:
        total_seconds: for all that one call lacks, from the first look-up of a name to the last byte. The standard
            asks for answers in about half a second; clients wait a few.
        connect_seconds: for one connection.
        redirects: followed for one page.
        pages: of one key.
        entries: of all pages of one call.
        bytes_of_call: of all pages of one call, decompressed.
        bytes_of_process: the same, of all calls together that are under way.
        keys_at_once: read in parallel for one call.
        requests_of_server: under way at one FHIR server, whichever calls they are for.
        requests_of_process: under way in all.
        calls_of_server: that wait for one FHIR server; one more is answered at once that it cannot be had.
        calls_of_process: that wait in all.
        servers: whose connections are kept for the next call.
        idle_seconds: for which a connection without a request is kept.
    """

    total_seconds: float = 4.0
    connect_seconds: float = 2.0
    redirects: int = 3
    pages: int = 50
    entries: int = 50_000
    bytes_of_call: int = 32 * MEBIBYTE
    bytes_of_process: int = 256 * MEBIBYTE
    keys_at_once: int = 6
    requests_of_server: int = 12
    requests_of_process: int = 256
    calls_of_server: int = 32
    calls_of_process: int = 512
    servers: int = 256
    idle_seconds: float = 15.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}.")
