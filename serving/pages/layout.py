"""The HTML pages: templates filled with escaped text.

Templates are `string.Template` files beside this module. What is filled in is escaped here, or is HTML that
`serving.pages.markdown` made safe.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from importlib.resources import files
from string import Template

from serving.pages.host import PageService
from serving.pages.markdown import Document, Heading, render_document

_CONTENTS_LEVEL = 3
"""Headings down to this level are listed in the contents of a model facts page."""

# What leads to the sample patients; without them it stands nowhere. The script is theirs, too.
_SCRIPT = '<script type="module" src="/static/workbench.js"></script>'
_TRY = '<a href="/#try">Try it</a>\n<a href="/cds-services">Discovery</a>'
_TRY_SERVICE = Template(
    '<a class="button" href="/?service=$id#try">Try it'
    '<span class="visually-hidden"> with a sample patient: $title</span></a>'
)
_TRY_MODEL = Template(
    '<p class="actions"><a class="button" href="/?service=$id#try">Try it with a sample patient</a></p>'
)
_COPY = (
    '<button type="button" class="quiet copy" data-copy="discovery-url">Copy'
    '<span class="visually-hidden"> the discovery address</span></button>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The pages of one server. `simulator`: whether they have sample patients to try services with."""

    simulator: bool = True

    def home_page(self, services: tuple[PageService, ...]) -> str:
        """The page at `/`: the services, and the place to try them with a sample patient."""
        content = _fill(
            "home",
            services="\n".join(self._service(service) for service in services)
            or '<li class="service"><p>No service is loaded. Start the server with a released bundle.</p></li>',
            copy=_COPY if self.simulator else "",
            simulator=_simulator(services) if self.simulator else "",
        )
        return self._page(title="Bedside", content=content, script=_SCRIPT if self.simulator else "")

    def model_page(self, service: PageService) -> str:
        """The model facts page: what the service is, and its model card."""
        card = _rendered(service.model_card)
        content = _fill(
            "model",
            try_it=_TRY_MODEL.substitute(id=escape(service.id)) if self.simulator else "",
            title=escape(card.title or service.title),
            description=escape(service.description),
            facts=_facts(service),
            status_line=escape(service.status_line),
            contents=_contents(card.headings),
            card=card.html or "<p>This bundle carries no model card.</p>",
        )
        return self._page(title=f"{service.title}: model facts", content=content)

    def message_page(self, *, title: str, message: str) -> str:
        """A plain page that says one thing, such as that nothing lives at an address."""
        return self._page(title=title, content=_fill("message", title=escape(title), message=escape(message)))

    def _page(self, *, title: str, content: str, script: str = "") -> str:
        return _fill(
            "page",
            title=escape(title),
            content=content,
            script=script,
            try_it=_TRY if self.simulator else "",
            about_samples=" Sample patients are synthetic." if self.simulator else "",
        )

    def _service(self, service: PageService) -> str:
        service_id, title = escape(service.id), escape(service.title)
        return _fill(
            "service",
            id=service_id,
            title=title,
            description=escape(service.description),
            facts=_facts(service),
            status_line=escape(service.status_line),
            try_it=_TRY_SERVICE.substitute(id=service_id, title=title) if self.simulator else "",
        )


def _simulator(services: tuple[PageService, ...]) -> str:
    options = (f'<option value="{escape(each.id)}">{escape(each.title)}</option>' for each in services)
    return _fill("simulator", options="\n".join(options))


def _facts(service: PageService) -> str:
    hooks = " ".join(f"<code>{escape(hook)}</code>" for hook in service.hooks)
    released = f'<time datetime="{escape(service.released)}">{escape(service.released)}</time>'
    facts = {
        "Service": f"<code>{escape(service.id)}</code>",
        "Hook" if len(service.hooks) == 1 else "Hooks": hooks,
        "Version": escape(service.version),
        "Released": released if service.released else "not yet",
    }
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())


def _contents(headings: tuple[Heading, ...]) -> str:
    items = "\n".join(
        f'<li class="contents-{heading.level}"><a href="#{escape(heading.slug)}">{escape(heading.text)}</a></li>'
        for heading in headings
        if heading.level <= _CONTENTS_LEVEL
    )
    return _fill("contents", items=items) if items else ""


@lru_cache(maxsize=64)
def _rendered(model_card: str) -> Document:
    """Once for each card: it takes as long as several calls, and anyone may ask for the page as often as they like."""
    return render_document(model_card)


def _fill(template: str, **values: str) -> str:
    return _template(template).substitute(values)


@cache
def _template(name: str) -> Template:
    return Template(files("serving.pages").joinpath("templates", f"{name}.html").read_text(encoding="utf-8"))
