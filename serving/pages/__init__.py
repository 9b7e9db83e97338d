"""The pages for people: the services with their sample patients, and one model facts page per service."""

from serving.pages.host import PageHost, PageService, Sample
from serving.pages.router import pages_router

__all__ = ["PageHost", "PageService", "Sample", "pages_router"]
