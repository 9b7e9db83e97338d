"""Words around a rendered card, in the language in which the card was asked for."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "de"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWords:
    """What the page adds to a card; the card's own text stays as it came."""

    language: Language
    indicators: dict[str, str]
    source: str
    links: str
    smart_link: str
    suggestions: str
    recommended: str
    accept: str
    override: str
    no_uuid: str
    no_card: str
    system_actions: str
    opens_elsewhere: str


ENGLISH = CardWords(
    language="en",
    indicators={"info": "Information", "warning": "Warning", "critical": "Critical"},
    source="Source",
    links="Links",
    smart_link="SMART app, opened by the EHR",
    suggestions="Suggestions",
    recommended="recommended",
    accept="Accept",
    override="Override, because",
    no_uuid="This card has no uuid, so no feedback can name it.",
    no_card="No card. The service answered and has no guidance to show; this does not mean that the risk is low.",
    system_actions="System actions, which an EHR would carry out and this page does not",
    opens_elsewhere="opens in a new tab",
)

GERMAN = CardWords(
    language="de",
    indicators={"info": "Information", "warning": "Warnung", "critical": "Kritisch"},
    source="Quelle",
    links="Links",
    smart_link="SMART-App, vom KIS geöffnet",
    suggestions="Vorschläge",
    recommended="empfohlen",
    accept="Annehmen",
    override="Übergehen, weil",
    no_uuid="Diese Karte hat keine uuid; eine Rückmeldung kann sie nicht benennen.",
    no_card="Keine Karte. Der Dienst hat geantwortet und zeigt keinen Hinweis; das heißt nicht: geringes Risiko.",
    system_actions="Systemaktionen, die ein KIS ausführen würde und diese Seite nicht ausführt",
    opens_elsewhere="öffnet in neuem Tab",
)


def words_for(accept_language: str | None) -> CardWords:
    """German if the Accept-Language header asks for it first, English otherwise."""
    first = (accept_language or "").partition(",")[0].strip().lower()
    return GERMAN if first == "de" or first.startswith(("de-", "de;")) else ENGLISH
